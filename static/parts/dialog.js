// Dialogs: what is asked before something is changed, above the view. The browser keeps the focus inside.

import { html, useEffect, useId, useRef } from "../ui.js";
import { focusHeading } from "./page.js";

/** A dialog that is shown as long as it is drawn; `close` is called when somebody wants it gone (Escape, or outside of it). */
export function Dialog({ title, close, children, class: kind = "" }) {
    const node = useRef(null);
    const id = useId();
    useEffect(() => {
        const opener = document.activeElement;
        node.current.showModal();
        // It goes without being closed, so the browser does not give the focus back.
        return () => (opener.isConnected ? opener.focus() : focusHeading());
    }, []);
    const cancel = (event) => {
        event.preventDefault();
        close();
    };
    // A click that begins in a field and ends outside is none outside.
    const press = (event) => event.target === node.current && close();
    return html`
        <dialog class=${kind} ref=${node} aria-labelledby=${id} onCancel=${cancel} onMouseDown=${press}>
            <div class="dialog-body">
                <h2 id=${id}>${title}</h2>
                ${children}
            </div>
        </dialog>
    `;
}

/** The button that leaves a dialog. */
export function CancelButton({ close, label = "Cancel" }) {
    return html`<button type="button" onClick=${close}>${label}</button>`;
}
