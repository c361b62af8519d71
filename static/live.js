// The stream of what happens on the server: who listens hears it, and the latest events are kept.

import * as api from "./api.js";
import * as connection from "./connection.js";
import { look } from "./session.js";
import { signal } from "./ui.js";

const KEPT_EVENTS = 200;
// A browser has few connections to one server, and each window's stream takes one.
const HIDDEN_FOR_MS = 10_000;
const RETRY_MS = 2_000;

/** The latest events, the last one first. */
export const recentEvents = signal([]);
/** The version of the server that this page came from, as far as is known, and of the one that answers now. */
export const versions = signal({ first: null, now: null });

const listeners = new Set();
let source = null;
let isWanted = false;
let timer;

/**
 * Has `hear` called with whatever happens: `{type, …}` as events are, `{type: "devices", heard, changed}` or `{type: "devices", many}`
 * for devices that were heard and those that say something else than before, `{type: "reload"}` when something may have been missed,
 * and `{type: "resumed"}` when the server is back and nothing was. Returns what ends it.
 */
export function listen(hear) {
    listeners.add(hear);
    return () => listeners.delete(hear);
}

/** Begins to listen to the server. */
export function start() {
    isWanted = true;
    open();
}

/** Ends it. */
export function stop() {
    isWanted = false;
    close();
    recentEvents.value = [];
}

/** The window is looked at again, or not any more. */
export function visibilityChanged() {
    clearTimeout(timer);
    if (document.hidden) {
        timer = setTimeout(close, HIDDEN_FOR_MS);
    } else if (isWanted) {
        open();
    }
}

function open() {
    clearTimeout(timer);
    if (source !== null || document.hidden) {
        return;
    }
    source = new EventSource(api.eventsUrl(KEPT_EVENTS));
    source.addEventListener("hello", ({ data }) => greeted(JSON.parse(data)));
    source.addEventListener("event", ({ data }) => happened(JSON.parse(data)));
    source.addEventListener("devices", ({ data }) => tell({ type: "devices", ...JSON.parse(data) }));
    source.addEventListener("error", broken);
}

function close() {
    clearTimeout(timer);
    source?.close();
    source = null;
    connection.isStreaming(false);
}

function greeted({ version, resumed }) {
    connection.found();
    connection.isStreaming(true);
    const first = versions.value.first ?? version;
    versions.value = { first, now: version };
    if (!resumed) {
        recentEvents.value = [];
    }
    tell({ type: resumed ? "resumed" : "reload" });
}

function happened(event) {
    recentEvents.value = [event, ...recentEvents.value.slice(0, KEPT_EVENTS - 1)];
    tell(event);
}

/** The browser tries again by itself after a broken connection, but not after an answer that it does not understand. */
async function broken() {
    connection.isStreaming(false);
    const isGivenUp = source?.readyState === EventSource.CLOSED;
    if (isGivenUp) {
        close();
    }
    // The session may have ended, or the server may be gone: this finds out which.
    await look();
    if (isGivenUp && isWanted) {
        clearTimeout(timer);
        timer = setTimeout(open, RETRY_MS);
    }
}

function tell(message) {
    listeners.forEach((hear) => hear(message));
}
