// Whether the server answers: a banner while it does not, and another try every few seconds.

import { answers } from "./api.js";
import { html, signal } from "./ui.js";

const LOOK_EVERY_MS = 10_000;
const TRY_EVERY_MS = 2_000;

/** What is wrong with the connection: a sentence, or `null`. */
const complaint = signal(null);
/** Whether something else notices when the server goes, so that nobody has to look. */
let isWatched = false;
let tryAgain;
let timer;

/** The sentence about it, in a place of its own from the beginning: so it is read out. */
export function Banner() {
    return html`<p id="banner" role="status" hidden=${complaint.value === null}>${complaint.value ?? ""}</p>`;
}

/** Begins to look. `again` is what to do while the server is lost; it calls `found` or `lost`. */
export function watch(again) {
    tryAgain = again;
    document.addEventListener("visibilitychange", schedule);
    schedule();
}

/** The server did not answer. */
export function lost(sentence = "The server does not answer.") {
    complaint.value = `${sentence} Trying again…`;
    schedule();
}

/** The server answered. */
export function found() {
    complaint.value = null;
    schedule();
}

/** From now on a stream tells whether the server is there, or does not any more. */
export function isStreaming(is) {
    isWatched = is;
    schedule();
}

function schedule() {
    clearTimeout(timer);
    const isLost = complaint.value !== null;
    if (!document.hidden && (isLost || !isWatched)) {
        timer = setTimeout(look, isLost ? TRY_EVERY_MS : LOOK_EVERY_MS);
    }
}

async function look() {
    if (complaint.value !== null) {
        await tryAgain();
        schedule();
    } else if (await answers()) {
        schedule();
    } else {
        lost();
    }
}
