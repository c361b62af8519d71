// Copying a text.

import { html, useEffect, useRef, useState } from "../../ui.js";

const SAID_FOR_MS = 3_000;

/** A button that puts a text on the clipboard. */
export function CopyButton({ text, what }) {
    const [says, setSays] = useState("");
    const timer = useRef();
    useEffect(() => () => clearTimeout(timer.current), []);
    const copy = async () => {
        setSays((await isCopied(text)) ? "Copied" : "Your browser does not allow it: mark the text and copy it.");
        clearTimeout(timer.current);
        timer.current = setTimeout(() => setSays(""), SAID_FOR_MS);
    };
    return html`<button type="button" class="small" aria-label=${`Copy ${what}`} onClick=${copy}>Copy</button> <span class="quiet" role="status">${says}</span>`;
}

async function isCopied(text) {
    try {
        await navigator.clipboard.writeText(text);
        return true;
    } catch {
        return isCopiedAnyhow(text);
    }
}

// On plain HTTP there is no clipboard but this.
function isCopiedAnyhow(text) {
    const focused = document.activeElement;
    const area = document.createElement("textarea");
    area.value = text;
    area.setAttribute("aria-hidden", "true");
    area.className = "off-screen";
    document.body.append(area);
    area.select();
    const is = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return is;
}
