// Doing what a button is for, once at a time, and saying what came of it.

import { Refused, Unreachable } from "../api.js";
import * as connection from "../connection.js";
import { isOver } from "../session.js";
import { asSentence } from "../text.js";
import { html, signal, useEffect, useId, useRef, useState } from "../ui.js";

const SAID_FOR_MS = 8_000;

/** What was done just now, where the place that it was done at is gone: a sentence, or an empty one. */
const said = signal("");
let timer;

/** Says what was done, beside whatever view is shown. */
export function say(sentence) {
    said.value = sentence;
    clearTimeout(timer);
    timer = setTimeout(() => (said.value = ""), SAID_FOR_MS);
}

/** Where that is said. */
export function Said() {
    return html`<p id="said" role="status" hidden=${said.value === ""}>${said.value}</p>`;
}

/**
 * What several buttons or a form do, once at a time: `attempt(action)` does it, and shows the sentence that it returns, or what
 * went wrong. Use it with `Outcome`.
 */
export function useOutcome() {
    const [state, setState] = useState({ isBusy: false, complaint: "", success: "" });
    const alert = useRef(null);
    const isBusy = useRef(false);
    const isThere = useRef(true);
    useEffect(() => () => (isThere.current = false), []);
    useEffect(() => {
        if (state.takesFocus) {
            alert.current?.focus();
        }
    }, [state]);
    const show = (shown) => isThere.current && setState(shown);
    const attempt = async (action) => {
        if (isBusy.current) {
            return;
        }
        isBusy.current = true;
        show({ isBusy: true, complaint: "", success: "" });
        let shown;
        try {
            shown = { complaint: "", success: (await action()) ?? "" };
        } catch (error) {
            shown = { complaint: (await complaintOf(error)) ?? "", success: "", takesFocus: true };
        }
        isBusy.current = false;
        show({ isBusy: false, ...shown });
    };
    const complain = (complaint) => show({ isBusy: false, complaint, success: "" });
    return { ...state, id: useId(), alert, attempt, complain };
}

/** Where is said what came of it. It has its place from the beginning, so that nothing moves when it is needed. */
export function Outcome({ of }) {
    return html`
        <div class="outcome">
            <p id=${of.id} class="alert" role="alert" tabindex="-1" ref=${of.alert}>${of.complaint}</p>
            <p class="done" role="status">${of.success}</p>
        </div>
    `;
}

/** A button that does something, and says `busyLabel` meanwhile. */
export function ActionButton({ of, act, label, busyLabel = label, class: kind, ...attributes }) {
    const [isMine, setIsMine] = useState(false);
    const isBusy = of.isBusy && isMine;
    const click = () => {
        setIsMine(true);
        of.attempt(act).finally(() => setIsMine(false));
    };
    // Not `disabled`: that would take the focus away.
    return html`
        <button type="button" class=${kind} aria-disabled=${of.isBusy ? "true" : null} onClick=${click} ...${attributes}>
            ${isBusy ? busyLabel : label}
        </button>
    `;
}

async function complaintOf(error) {
    if (error instanceof Unreachable) {
        connection.lost();
        return "The server did not answer: try again when it is back.";
    }
    if (error instanceof Refused) {
        const hasEnded = error.status === 401 && (await isOver());
        return hasEnded ? null : asSentence(error.message);
    }
    console.error(error);
    return "Something is wrong with this page: load it again.";
}
