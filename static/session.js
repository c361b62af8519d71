// Who is logged in, in this page's knowledge, and what happened to that.

import * as api from "./api.js";
import * as connection from "./connection.js";
import { asSentence } from "./text.js";
import { computed, signal } from "./ui.js";

const SESSION_ENDED = "Your session has ended: log in again.";
const CLAIMED_ALREADY = "This claim address is not good any more: the server has its administrator already.";

/** What the server says of the session, `null` until it has said so: `{setup, authentication, user}`. */
export const session = signal(null);
/** What happened just now: a sentence, or `null`. */
export const notice = signal(null);
/** The claim code, from the address that the server printed. It is nowhere else. */
export const code = signal(null);
/** Whether somebody may see what the server has. */
export const isInside = computed(() => session.value !== null && (!session.value.authentication || session.value.user !== null));
/** Whether somebody may change it, too. */
export const mayChange = computed(() => isInside.value && (!session.value.authentication || session.value.user.role === "admin"));

/** Counts what was learnt of the session: an answer that comes after a later one is out of date. */
let turn = 0;

/** Takes the claim code out of the address bar, where people would copy it from or read it over a shoulder. Whether there was one. */
export function takeCode() {
    const found = new URLSearchParams(location.hash.slice(1)).get("claim");
    if (found === null) {
        return false;
    }
    history.replaceState(null, "", location.pathname + location.search);
    code.value = found;
    return true;
}

/** Asks who is logged in. */
export async function look() {
    turn += 1;
    const mine = turn;
    let found;
    try {
        found = await api.session();
    } catch (error) {
        connection.lost(error instanceof api.Refused ? asSentence(error.message) : undefined);
        return;
    }
    connection.found();
    if (mine === turn) {
        learn(found, null);
    }
}

/** Somebody is logged in now. */
export function entered(found) {
    turn += 1;
    learn(found, null);
}

/** Nobody is logged in now. */
export function left(sentence) {
    turn += 1;
    learn({ setup: "done", authentication: true, user: null }, asSentence(sentence));
}

/** Whether nobody is logged in any more, who was. */
export async function isOver() {
    if (!isInside.value) {
        return false;
    }
    await look();
    return !isInside.value;
}

function learn(found, reason) {
    const before = session.value;
    const hasChanged = JSON.stringify(found) !== JSON.stringify(before);
    let sentence = reason;
    if (code.value !== null && found.setup === "done") {
        const wasClaimedHere = before?.setup === "open" && before.user === null && found.user !== null;
        code.value = null;
        // Whoever has just used it knows.
        sentence ??= wasClaimedHere ? null : CLAIMED_ALREADY;
    }
    if (before?.user && found.user === null) {
        sentence ??= SESSION_ENDED;
    }
    if (hasChanged || sentence !== null) {
        notice.value = sentence;
    }
    // What somebody is typing stays as long as nothing has changed.
    if (hasChanged) {
        session.value = found;
    }
}
