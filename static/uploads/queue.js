// The uploads of whoever is logged in: a queue that goes on whatever view is shown.

import { Refused, Unreachable } from "../api.js";
import * as connection from "../connection.js";
import { say } from "../parts/outcome.js";
import { isOver } from "../session.js";
import { asSentence } from "../text.js";
import { computed, signal } from "../ui.js";
import { keep, keptFor, metadataOf, NOTHING } from "./description.js";
import { carry } from "./transfer.js";
import * as tus from "./tus.js";

const AT_ONCE = 2;
/** States in which something happens by itself: leaving the page would interrupt it. */
const GOING_ON = ["waiting", "sending", "retrying", "publishing"];

/**
 * All of them, the oldest first, each
 * `{key, id, file, name, length, lastModified, expires, sent, speed, state, complaint, description, isDescribed, outlook, package}`.
 *
 * - `id` is the server's, `null` before it has begun; `file` is `null` after the page was loaded anew
 * - `state` is `waiting` (for its turn), `sending`, `retrying` (the connection broke), `paused`, `lost` (its file is to be chosen
 *   again), `reading` (complete; the server looks what is in it), `complete` (a person is to say what it is), `publishing`,
 *   `published`, or `failed` (the server refused)
 * - `isDescribed`: a person has said so much that it is published as soon as it is complete
 */
export const uploads = signal([]);
/** Those in which something happens by itself. */
export const goingOn = computed(() => uploads.value.filter(({ state }) => GOING_ON.includes(state)));
/** The keys of those that somebody is asked to describe, the first one now. */
export const toDescribe = signal([]);

/** Ends the transfer of an upload, by key. */
const transfers = new Map();
let owner;
let lastKey = 0;

/** The upload with this key, unless it is gone. */
export function find(key) {
    return uploads.value.find((upload) => upload.key === key);
}

function change(key, changed) {
    uploads.value = uploads.value.map((upload) => (upload.key === key ? { ...upload, ...changed } : upload));
}

function drop(key) {
    uploads.value = uploads.value.filter((upload) => upload.key !== key);
    toDescribe.value = toDescribe.value.filter((other) => other !== key);
}

// Who

/** Somebody is here who may upload: goes on with what they began, also before this page was loaded. */
export async function enter(name) {
    if (owner !== name) {
        uploads.value = [];
        toDescribe.value = [];
        owner = name;
    }
    pump();
    try {
        await recall();
    } catch (error) {
        // Nobody waits for it; the next load of the page tries again.
        console.warn(error);
    }
}

/** Nobody is here any more: what went on waits for them. */
export function leave() {
    transfers.forEach((controller) => controller.abort());
    transfers.clear();
    goingOn.value.filter(({ state }) => state !== "publishing").forEach(({ key }) => change(key, { state: "waiting", speed: null }));
    toDescribe.value = [];
}

/** Finds the uploads that were begun before the page was loaded. */
async function recall() {
    const found = await tus.unfinished();
    const descriptions = keptFor(found.map(({ id }) => id));
    const unknown = found.filter(({ id }) => uploads.value.every((upload) => upload.id !== id));
    for (const { id, length, expires } of unknown) {
        const { offset, name, lastModified } = await tus.standing(id);
        const description = descriptions[id];
        const known = { id, length, expires, lastModified, sent: offset, name: name ?? `Upload ${id.slice(0, 8)}` };
        const key = add({ ...known, ...(description && { description, isDescribed: true }), state: "lost" });
        if (offset === length) {
            arrived(key);
        }
    }
}

function add(known) {
    lastKey += 1;
    const fresh = { id: null, file: null, expires: null, sent: 0, speed: null, complaint: null, outlook: null, package: null };
    uploads.value = [...uploads.value, { ...fresh, description: NOTHING, isDescribed: false, ...known, key: lastKey }];
    return lastKey;
}

// What people do

/** Takes files: those of uploads that lost theirs go on, the others begin; asks what these are. */
export function choose(files) {
    const fresh = [...files].filter((file) => !takeUp(file));
    const keys = fresh.map((file) => add(ofFile(file)));
    toDescribe.value = [...toDescribe.value, ...keys.filter((key) => find(key).state !== "failed")];
    pump();
}

function ofFile(file) {
    const known = { file, name: file.name, length: file.size, lastModified: file.lastModified };
    return file.size === 0 ? { ...known, state: "failed", complaint: "The file is empty." } : { ...known, state: "waiting" };
}

/** Whether the file is of an upload that there is already; goes on with it if it needs it. */
function takeUp(file) {
    const same = uploads.value.find((upload) => upload.state !== "published" && isOf(upload, file));
    if (same?.state === "lost") {
        change(same.key, { file, lastModified: file.lastModified, state: "waiting", complaint: null });
    } else if (same !== undefined) {
        say(`${file.name} is among the uploads already.`);
    }
    return same !== undefined;
}

function isOf({ name, length, lastModified }, file) {
    return name === file.name && length === file.size && (lastModified === null || lastModified === file.lastModified);
}

/** The file of one upload that lost it. */
export function chooseFor(key, file) {
    const upload = find(key);
    if (isOf(upload, file)) {
        takeUp(file);
        pump();
    } else {
        change(key, { complaint: `${file.name} is another file, or was changed since: choose ${upload.name} as it was, or cancel this upload.` });
    }
}

export function pause(key) {
    stop(key);
    change(key, { state: "paused", speed: null, complaint: null });
    pump();
}

/** Goes on after a pause or a failure; from the beginning if nothing of it is left on the server. */
export function resume(key) {
    change(key, { state: "waiting", complaint: null });
    pump();
}

/** Gives an upload up, here and on the server. */
export async function cancel(key) {
    const { id, state } = find(key);
    const wasGoingOn = GOING_ON.includes(state);
    stop(key);
    change(key, { state: "paused", speed: null });
    try {
        if (id !== null) {
            await tus.discard(id);
        }
    } catch (error) {
        if (error.status !== 404) {
            change(key, { state, complaint: null });
            if (wasGoingOn) {
                resume(key);
            }
            throw error;
        }
    }
    drop(key);
    pump();
}

/** Forgets one that is over. */
export const dismiss = drop;

/** Asks what an upload is. */
export function askAbout(key) {
    toDescribe.value = [key];
}

/** Somebody has said what it is: it is published when it is complete. */
export function describe(key, description) {
    change(key, { description, isDescribed: true, complaint: null });
    const { id, state } = find(key);
    if (id !== null) {
        keep(id, description);
    }
    if (state === "complete") {
        publish(key);
    }
}

// What goes on by itself

function stop(key) {
    transfers.get(key)?.abort();
    transfers.delete(key);
}

/** Begins what can begin. */
function pump() {
    uploads.value
        .filter(({ state }) => state === "waiting")
        .slice(0, Math.max(0, AT_ONCE - transfers.size))
        .forEach(({ key }) => begin(key));
}

async function begin(key) {
    const controller = new AbortController();
    transfers.set(key, controller);
    change(key, { state: "sending" });
    const show = (shown) => controller.signal.aborted || change(key, shown);
    const begun = (id) => {
        const { isDescribed, description } = find(key);
        if (isDescribed) {
            keep(id, description);
        }
        show({ id });
    };
    let end;
    try {
        await carry(find(key), { show, begun }, controller.signal);
        end = () => arrived(key);
    } catch (error) {
        end = () => failed(key, error);
    }
    // Whoever stopped it has said what comes next.
    if (!controller.signal.aborted) {
        transfers.delete(key);
        await end();
        pump();
    }
}

async function failed(key, error) {
    if (error.status === 401 && (await isOver())) {
        return;
    }
    const isGone = error.status === 404;
    change(key, { state: "failed", speed: null, complaint: asSentence(error.message), ...(isGone && { id: null, sent: 0 }) });
}

/** All bytes are there. */
async function arrived(key) {
    change(key, { sent: find(key).length, speed: null });
    if (find(key).isDescribed) {
        await publish(key);
        return;
    }
    change(key, { state: "reading", complaint: null });
    await look(key);
    // Meanwhile somebody may have said what it is.
    const upload = find(key);
    if (upload?.state === "complete" && upload.isDescribed) {
        await publish(key);
    }
}

/** Asks the server what is in a complete upload. */
async function look(key, complaint = null) {
    let shown;
    try {
        const outlook = await tus.outlook(find(key).id);
        shown = { outlook, complaint: complaint ?? (outlook.problem === null ? null : asSentence(outlook.problem)) };
    } catch (error) {
        if (error.status === 404) {
            // Nothing of it was kept.
            await failed(key, complaint === null ? error : new Refused(404, complaint));
            return;
        }
        noteUnreachable(error);
        shown = { complaint: complaint ?? asSentence(error.message) };
    }
    change(key, { state: "complete", speed: null, ...shown });
}

/** Makes a complete upload a package. */
export async function publish(key) {
    const { id, name, description } = find(key);
    change(key, { state: "publishing", speed: null, complaint: null });
    try {
        const made = await tus.finish(id, metadataOf(description));
        change(key, { state: "published", package: made });
        toDescribe.value = toDescribe.value.filter((other) => other !== key);
        say(`${name} is published.`);
    } catch (error) {
        noteUnreachable(error);
        if (error.status !== 401 || !(await isOver())) {
            change(key, { isDescribed: false });
            await look(key, asSentence(error.message));
        }
    }
}

function noteUnreachable(error) {
    if (error instanceof Unreachable) {
        connection.lost();
    }
}

addEventListener("beforeunload", (event) => {
    if (goingOn.value.length > 0) {
        event.preventDefault();
        // Browsers of 2023 ask for this, too.
        event.returnValue = true;
    }
});
