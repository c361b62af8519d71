// Where in the page one is: `#/devices/3?tab=history` is the view at ["devices", "3"] with the parameter `tab`.

import { signal } from "./ui.js";

/** `{path: […], parameters: {…}}` of the address. */
export const route = signal(parse());

function parse() {
    const [path, parameters = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
    return {
        path: path.split("/").filter(Boolean).map(decode),
        parameters: Object.fromEntries(new URLSearchParams(parameters)),
    };
}

function decode(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}

/** The address of a view. Parameters without a value are left out. */
export function to(path, parameters = {}) {
    const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
    const search = given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
    return `#/${path.map(encodeURIComponent).join("/")}${search}`;
}

/** Goes to a view. */
export function go(path, parameters) {
    location.hash = to(path, parameters);
}

/** Changes parameters of this view, without a step in the browser's history: for what is typed. */
export function refine(parameters) {
    const { path, parameters: before } = route.value;
    history.replaceState(null, "", to(path, { ...before, ...parameters }));
    moved();
}

/** The address has changed. */
export function moved() {
    route.value = parse();
}
