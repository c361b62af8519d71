// Whether the server answers: a banner while it does not, and another try every few seconds.

import { answers } from "./api.js";

const LOOK_EVERY_MS = 10_000;
const TRY_EVERY_MS = 2_000;

const banner = document.getElementById("banner");
let isLost = false;
let tryAgain;
let timer;

/** Begins to look. `again` is what to do while the server is lost; it calls `found` or `lost`. */
export function watch(again) {
    tryAgain = again;
    document.addEventListener("visibilitychange", schedule);
    schedule();
}

/** The server did not answer. */
export function lost(sentence = "The server does not answer.") {
    isLost = true;
    const text = `${sentence} Trying again…`;
    // Text that stays the same is not read out again.
    if (banner.hidden || banner.textContent !== text) {
        banner.hidden = false;
        banner.textContent = text;
    }
    schedule();
}

/** The server answered. */
export function found() {
    isLost = false;
    banner.hidden = true;
    schedule();
}

function schedule() {
    clearTimeout(timer);
    if (!document.hidden) {
        timer = setTimeout(look, isLost ? TRY_EVERY_MS : LOOK_EVERY_MS);
    }
}

async function look() {
    if (isLost) {
        await tryAgain();
        schedule();
    } else if (await answers()) {
        schedule();
    } else {
        lost();
    }
}
