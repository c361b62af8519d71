// What is around every view: the ways to the others, what needs attention, and who is logged in.

import * as api from "./api.js";
import { isOf, useData } from "./data.js";
import { Icon } from "./icons.js";
import { versions } from "./live.js";
import { Chip } from "./parts/values.js";
import { Card, Empty, Page } from "./parts/page.js";
import { route, to } from "./router.js";
import { mayChange, session } from "./session.js";
import { UploadsInProgress } from "./uploads/progress.js";
import { asSentence, number } from "./text.js";
import { html, useEffect, useRef } from "./ui.js";
import { Account } from "./views/account.js";
import { Activity } from "./views/activity.js";
import { Device } from "./views/device.js";
import { Devices } from "./views/devices.js";
import { Group } from "./views/group.js";
import { Groups } from "./views/groups.js";
import { Overview } from "./views/overview.js";
import { Package } from "./views/package.js";
import { Packages } from "./views/packages.js";
import { Registrations } from "./views/registrations.js";

const ICON_URL = new URL("./icon.svg", import.meta.url).href;

/** The first part of the path, and what is shown there: for all of them, and for one. */
const PLACES = [
    { name: "overview", label: "Overview", all: Overview },
    { name: "devices", label: "Devices", all: Devices, one: Device },
    { name: "registrations", label: "Registrations", all: Registrations },
    { name: "packages", label: "Packages", all: Packages, one: Package },
    { name: "groups", label: "Groups", all: Groups, one: Group },
    { name: "activity", label: "Activity", all: Activity },
];

export function Shell() {
    const status = useData("status", api.status, (message) => isOf(message, "registration", "concern", "device", "package"));
    const { path } = route.value;
    return html`
        <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
        <header class="top">
            <${Brand} />
            <div class="who">
                ${!mayChange.value && html`<${Chip} tone="notable" title="You may see everything, and change nothing.">Read only<//>`}
                <a href=${to(["account"])} class=${path[0] === "account" ? "user here" : "user"}>
                    <${Icon} name="account" /><span>${session.value.user?.name ?? "Everybody"}</span>
                </a>
            </div>
        </header>
        <div class="sides">
            <nav class="places" aria-label="Places"><ul>${PLACES.map((place) => html`<${Way} key=${place.name} ...${{ place, status: status.data }} />`)}</ul></nav>
            <main id="main" tabindex="-1">
                <${Concerns} of=${status.data?.concerns ?? []} />
                <${View} />
            </main>
        </div>
        <${UploadsInProgress} />
    `;
}

/** The name of the product, which leads to the beginning. */
export function Brand() {
    return html`<a class="brand" href="#/"><img src=${ICON_URL} alt="" width="28" height="28" />tender</a>`;
}

// The address has a place for views, and none for parts of them.
function skip(event) {
    event.preventDefault();
    document.getElementById("main").focus();
}

function Way({ place: { name, label }, status }) {
    const isHere = (route.value.path[0] ?? "overview") === name;
    const waiting = name === "registrations" ? (status?.pending_registrations ?? 0) : 0;
    const node = useRef(null);
    // On phones there is no room for all of them at once.
    useEffect(() => {
        if (isHere) {
            node.current.scrollIntoView({ block: "nearest", inline: "nearest" });
        }
    }, [isHere]);
    return html`
        <li ref=${node}>
            <a href=${to(name === "overview" ? [] : [name])} aria-current=${isHere ? "page" : null}>
                <${Icon} name=${name} /><span>${label}</span>
                ${waiting > 0 && html`<span class="badge" title=${`${number(waiting)} waiting`}>${number(waiting)}</span>`}
            </a>
        </li>
    `;
}

/** What is wrong with the server, on every view. */
function Concerns({ of }) {
    const { first, now } = versions.value;
    const isOutdated = first !== now;
    return html`
        <div class="concerns" role="status">
            ${of.map(({ name, sentence }) => html`<p key=${name} class="concern">${asSentence(sentence)}</p>`)}
            ${isOutdated && html`<p class="concern">The server was updated to ${now}: <a href="" onClick=${reload}>load this page again</a>.</p>`}
        </div>
    `;
}

function reload(event) {
    event.preventDefault();
    location.reload();
}

function View() {
    const [name = "overview", id, ...rest] = route.value.path;
    if (name === "account" && id === undefined) {
        return html`<${Account} key="account" />`;
    }
    const place = PLACES.find((place) => place.name === name);
    if (place !== undefined && id === undefined) {
        return html`<${place.all} key=${name} />`;
    }
    if (place?.one !== undefined && /^\d+$/.test(id) && rest.length === 0) {
        return html`<${place.one} key=${`${name}/${id}`} id=${Number(id)} />`;
    }
    return html`<${Page} key="nowhere" title="There is no such page">
        <${Card}><${Empty} title="Nothing is at this address."><a href="#/">Go to the overview</a><//><//>
    <//>`;
}
