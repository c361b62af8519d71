// Uploads as the server takes them: tus 1.0 (tus.io/protocols/resumable-upload). Each call returns what the server says, or
// throws Refused or Unreachable, as those of `api.js` do.

import { Refused, Unreachable } from "../api.js";

const UPLOADS = "/api/tender/v1/uploads";
const VERSION = { "Tus-Resumable": "1.0.0" };
const PATIENCE_MS = 30_000;
// A large artifact is unpacked before the server says what is in it.
const READING_PATIENCE_MS = 30 * 60_000;
// A piece of which nothing moved for so long is on a connection that is dead.
const STALL_MS = 60_000;
/** What proxies say when there is no server behind them. */
const NOBODY = [502, 503, 504];
/** The algorithms that both may know, the preferred one first: what the server and what the browser call them. */
const CHECKSUMS = [
    ["sha256", "SHA-256"],
    ["sha1", "SHA-1"],
];
// The server keeps what says how a file is called out of the package's metadata; a time of its own would not be.
const MODIFIED = /;\s*last-modified=(\d+)/;

async function call(method, path, { headers = {}, body, patience = PATIENCE_MS, signal } = {}) {
    // Not `AbortSignal.any`, which browsers of 2023 lack.
    const controller = new AbortController();
    const abort = () => controller.abort();
    const timer = setTimeout(abort, patience);
    signal?.addEventListener("abort", abort);
    let response;
    let text;
    try {
        response = await fetch(UPLOADS + path, {
            method,
            headers: { ...VERSION, ...headers },
            body,
            cache: "no-store",
            signal: controller.signal,
        });
        text = await response.text();
    } catch (error) {
        throw new Unreachable("the server does not answer", { cause: error });
    } finally {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
    }
    if (!response.ok) {
        throw refusal(response.status, text);
    }
    return { headers: response.headers, reply: text === "" ? null : parsed(text) };
}

function parsed(text) {
    try {
        return JSON.parse(text);
    } catch (error) {
        throw new Unreachable("something else answers in the server's place", { cause: error });
    }
}

function refusal(status, text) {
    let sentence;
    try {
        sentence = JSON.parse(text).error;
    } catch {
        // HEAD has no body, and proxies say it in HTML.
    }
    if (sentence === undefined && NOBODY.includes(status)) {
        return new Unreachable("the server does not answer");
    }
    const refused = new Refused(status, String(sentence ?? `the server refused, and did not say why (${status})`));
    refused.isExplained = sentence !== undefined;
    return refused;
}

/** The checksum that pieces can have here, `[name, browser's name]`; `null` if none: browsers make them on safe connections alone. */
export async function checksumKind() {
    const { headers } = await call("OPTIONS", "");
    const offered = (headers.get("Tus-Checksum-Algorithm") ?? "").split(",").map((name) => name.trim());
    return crypto.subtle === undefined ? null : (CHECKSUMS.find(([name]) => offered.includes(name)) ?? null);
}

/** The uploads of whoever is logged in that are not finished: `[{id, length, offset, created, expires}]`. */
export async function unfinished() {
    return (await call("GET", "")).reply;
}

/** Begins an upload of this file; returns its id. */
export async function begin(file, signal) {
    const type = `application/octet-stream; last-modified=${file.lastModified}`;
    const metadata = `filename ${base64(new TextEncoder().encode(file.name))},filetype ${base64(new TextEncoder().encode(type))}`;
    const { headers } = await call("POST", "", { headers: { "Upload-Length": String(file.size), "Upload-Metadata": metadata }, signal });
    return headers.get("Location").split("/").pop();
}

/** How far an upload is, and which file it is of, as far as that was said: `{offset, name, lastModified}`. */
export async function standing(id, signal) {
    const { headers } = await call("HEAD", `/${id}`, { signal });
    const said = new Map((headers.get("Upload-Metadata") ?? "").split(",").map((pair) => pair.trim().split(" ")));
    const modified = MODIFIED.exec(text(said.get("filetype")));
    return {
        offset: Number(headers.get("Upload-Offset")),
        name: text(said.get("filename")) || null,
        lastModified: modified === null ? null : Number(modified[1]),
    };
}

/** What a complete upload is about to become: `{artifact, metadata, problem}`. */
export async function outlook(id) {
    return (await call("GET", `/${id}`, { patience: READING_PATIENCE_MS })).reply;
}

/** Makes it a package; returns that. */
export async function finish(id, metadata) {
    const body = JSON.stringify({ metadata });
    const headers = { "Content-Type": "application/json" };
    return (await call("POST", `/${id}/package`, { headers, body, patience: READING_PATIENCE_MS })).reply;
}

/** Gives an upload up. */
export const discard = (id) => call("DELETE", `/${id}`);

/** The header of a piece with its checksum. */
export async function checksum(bytes, [name, browsersName]) {
    return { "Upload-Checksum": `${name} ${base64(new Uint8Array(await crypto.subtle.digest(browsersName, bytes)))}` };
}

/** Sends a piece, and tells `onProgress` how many bytes of it have left; returns where the next one begins. */
export function send(id, offset, part, headers, onProgress, signal) {
    // Unlike fetch, this says how much has been sent.
    const request = new XMLHttpRequest();
    return new Promise((resolve, reject) => {
        let stall;
        const moved = () => {
            clearTimeout(stall);
            stall = setTimeout(() => request.abort(), STALL_MS);
        };
        const abort = () => request.abort();
        const broken = () => reject(new Unreachable("the connection broke"));
        request.upload.onprogress = ({ loaded }) => {
            moved();
            onProgress(loaded);
        };
        request.onload = () => {
            const next = Number(request.getResponseHeader("Upload-Offset"));
            if (request.status === 204) {
                resolve(next);
            } else if (request.status < 400) {
                reject(new Unreachable("something else answers in the server's place"));
            } else {
                reject(refusal(request.status, request.responseText));
            }
        };
        request.onerror = broken;
        request.onabort = broken;
        request.onloadend = () => {
            clearTimeout(stall);
            signal.removeEventListener("abort", abort);
        };
        signal.throwIfAborted();
        signal.addEventListener("abort", abort);
        request.open("PATCH", `${UPLOADS}/${id}`);
        const all = { ...VERSION, ...headers, "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" };
        Object.entries(all).forEach(([name, value]) => request.setRequestHeader(name, value));
        moved();
        request.send(part);
    });
}

function base64(bytes) {
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** A value of tus metadata as text; empty if it is none. */
function text(value) {
    try {
        return new TextDecoder().decode(Uint8Array.from(atob(value ?? ""), (character) => character.charCodeAt(0)));
    } catch {
        return "";
    }
}
