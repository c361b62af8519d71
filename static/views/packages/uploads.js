// Where files are chosen or dropped, and the uploads that come of it.

import { Card } from "../../parts/page.js";
import { say } from "../../parts/outcome.js";
import { html, useEffect, useRef, useState } from "../../ui.js";
import { FileInput, Upload } from "../../uploads/item.js";
import * as queue from "../../uploads/queue.js";

export function ChooseFiles() {
    const input = useRef(null);
    return html`
        <button type="button" class="primary" onClick=${() => input.current.click()}>Upload packages</button>
        <${FileInput} node=${input} choose=${queue.choose} multiple id="choose-files" />
    `;
}

/** All uploads, until they are dismissed. */
export function Uploads() {
    const uploads = queue.uploads.value;
    return (
        uploads.length > 0 &&
        html`<${Card} title="Uploads"><ul class="uploads">${uploads.map((upload) => html`<${Upload} key=${upload.key} of=${upload} />`)}</ul><//>`
    );
}

/** Takes files that are dropped anywhere in the window as long as it is drawn. */
export function DropPlace() {
    const [isOver, setIsOver] = useState(false);
    useEffect(() => {
        const isOfFiles = (event) => event.dataTransfer?.types.includes("Files") && document.querySelector("dialog[open]") === null;
        const over = (event) => {
            if (isOfFiles(event)) {
                event.preventDefault();
                setIsOver(true);
            }
        };
        // What is left for a part of the page is not left for good.
        const leave = (event) => event.relatedTarget === null && setIsOver(false);
        const drop = (event) => {
            if (isOfFiles(event)) {
                event.preventDefault();
                setIsOver(false);
                take(event.dataTransfer);
            }
        };
        const hearers = { dragenter: over, dragover: over, dragleave: leave, drop };
        Object.entries(hearers).forEach(([type, hear]) => addEventListener(type, hear));
        return () => Object.entries(hearers).forEach(([type, hear]) => removeEventListener(type, hear));
    }, []);
    return isOver && html`<div class="drop" role="status"><p>Drop files to upload them</p></div>`;
}

function take({ items, files }) {
    const isFolder = (item) => item.webkitGetAsEntry?.()?.isDirectory === true;
    const folders = [...items].filter((item) => item.kind === "file").map(isFolder);
    if (folders.includes(true)) {
        say("Folders cannot be uploaded: drop the files in them.");
    }
    queue.choose([...files].filter((_, index) => !folders[index]));
}
