// One upload as it is shown: how far it is, what is wrong, and what can be done.

import { ActionButton, Outcome, useOutcome } from "../parts/outcome.js";
import { CancelButton, Dialog } from "../parts/dialog.js";
import { Moment } from "../parts/values.js";
import { to } from "../router.js";
import { bytes, span } from "../text.js";
import { html, useLayoutEffect, useRef, useState } from "../ui.js";
import { DEVICE_TYPE, VERSION } from "./description.js";
import * as queue from "./queue.js";

const SAYS = {
    waiting: "Waits for its turn",
    sending: "Uploading",
    retrying: "Interrupted: trying again",
    paused: "Paused",
    lost: "Not finished: choose the same file again to go on",
    reading: "Complete: the server reads what is in it",
    complete: "Complete",
    publishing: "Publishing",
    published: "Published",
    failed: "Failed",
};

/** An upload, with what can be done about it. */
export function Upload({ of: upload }) {
    const { name, state, complaint } = upload;
    const [isCancelling, setIsCancelling] = useState(false);
    const node = useRef(null);
    useLayoutEffect(() => () => passFocus(node.current), []);
    return html`
        <li class=${`upload ${state}`} ref=${node}>
            <div class="upload-head">
                <p class="upload-name" title=${name}><bdi>${name}</bdi></p>
                <div class="actions"><${Actions} ...${{ upload }} cancel=${() => setIsCancelling(true)} /></div>
            </div>
            ${upload.sent < upload.length && html`<${Progress} label=${`Upload of ${name}`} sent=${upload.sent} length=${upload.length} />`}
            <p class="upload-state"><${Standing} ...${{ upload }} /></p>
            <${WhatItBecomes} ...${{ upload }} />
            ${complaint !== null && html`<p class="alert">${complaint}</p>`}
            ${isCancelling && html`<${CancelDialog} ...${{ upload }} close=${() => setIsCancelling(false)} />`}
        </li>
    `;
}

/** Has the focus go on beside what is about to be gone with it. */
function passFocus(node) {
    const beside = (node?.nextElementSibling ?? node?.previousElementSibling)?.querySelector("button");
    setTimeout(() => document.activeElement === document.body && (beside ?? document.querySelector("main h1"))?.focus());
}

/** How much has been sent, as a bar. */
export function Progress({ label, sent, length }) {
    return html`<progress aria-label=${label} max=${Math.max(1, length)} value=${sent}></progress>`;
}

/** How much is sent, how fast, and how long it will take: what is known of that. */
export function figures({ sent, length, speed }) {
    const left = speed ? (length - sent) / speed : null;
    const isKnown = left !== null && left < 7 * 86_400;
    const parts = [`${bytes(sent)} of ${bytes(length)}`, speed !== null && `${bytes(speed)}/s`, isKnown && `${span(Math.max(1, left))} left`];
    return parts.filter(Boolean).join(" · ");
}

function Standing({ upload }) {
    const { state, length, expires, outlook } = upload;
    const isHere = ["reading", "complete", "publishing", "published"].includes(state);
    const amount = isHere || length === 0 ? bytes(length) : figures(upload);
    return html`
        <strong>${state === "complete" ? whatIsMissing(outlook) : SAYS[state]}</strong> · ${amount}
        ${state === "lost" && html` · kept until <${Moment} at=${expires} />`}
    `;
}

function whatIsMissing(outlook) {
    if (outlook !== null && outlook.problem !== null) {
        return "Complete, and cannot become a package";
    }
    return isEnough(outlook) ? "Complete: look at it and publish it" : "Complete: describe it to publish it";
}

function isEnough(outlook) {
    return outlook !== null && outlook.problem === null && Boolean(outlook.metadata[VERSION]) && Boolean(outlook.metadata[DEVICE_TYPE]);
}

/** What it will be as a package. */
function WhatItBecomes({ upload: { state, description, isDescribed, outlook } }) {
    const version = description.version || outlook?.metadata[VERSION];
    const type = description.type || outlook?.metadata[DEVICE_TYPE];
    if (state === "published" || (!isDescribed && !isEnough(outlook))) {
        return null;
    }
    const what = version && type ? html`version <bdi>${version}</bdi> for <bdi>${type}</bdi>` : "as what the artifact says";
    return html`<p class="upload-becomes">${isDescribed ? "Will be published: " : "The artifact says: "}${what}</p>`;
}

function Actions({ upload, cancel }) {
    const { key, name, state, outlook, file } = upload;
    const button = (label, act, kind) => html`<button type="button" class=${kind} aria-label=${`${label} ${name}`} onClick=${act}>${label}</button>`;
    const isSending = ["waiting", "sending", "retrying"].includes(state);
    const isOver = state === "published" || (state === "failed" && upload.id === null);
    const describes = upload.isDescribed || (state === "complete" && isEnough(outlook)) ? "Change" : "Describe";
    // What is pressed turns into what can be done next, and keeps the focus.
    const nextStep = {
        sending: ["Pause", () => queue.pause(key)],
        paused: ["Resume", () => queue.resume(key)],
        failed: file?.size > 0 && ["Try again", () => queue.resume(key)],
        complete: isEnough(outlook) && ["Publish", () => queue.publish(key), "primary"],
    }[isSending ? "sending" : state];
    return html`
        ${nextStep && button(...nextStep)}
        ${state === "published" && html`<a class="button" href=${to(["packages", String(upload.package.id)])}>Open package</a>`}
        ${state === "lost" && html`<${ChooseAgain} ...${{ upload }} />`}
        ${(isSending || ["paused", "reading", "complete"].includes(state)) && button(describes, () => queue.askAbout(key))}
        ${isOver ? button("Dismiss", () => queue.dismiss(key)) : state !== "publishing" && button("Cancel", cancel)}
    `;
}

function ChooseAgain({ upload: { key, name } }) {
    const input = useRef(null);
    return html`
        <button type="button" aria-label=${`Choose the file ${name} again`} onClick=${() => input.current.click()}>Choose file</button>
        <${FileInput} node=${input} choose=${([file]) => queue.chooseFor(key, file)} />
    `;
}

/** What a button opens to have files chosen. */
export function FileInput({ node, choose, ...attributes }) {
    const change = ({ currentTarget }) => {
        if (currentTarget.files.length > 0) {
            choose([...currentTarget.files]);
        }
        // The same file may be chosen once more.
        currentTarget.value = "";
    };
    return html`<input type="file" hidden ref=${node} onChange=${change} aria-label="Files" ...${attributes} />`;
}

function CancelDialog({ upload: { key, name, sent }, close }) {
    const outcome = useOutcome();
    return html`
        <${Dialog} title="Cancel this upload?" ...${{ close }}>
            <p>Of <strong><bdi>${name}</bdi></strong> ${bytes(sent)} have been sent. The server throws them away.</p>
            <div class="actions">
                <${ActionButton} of=${outcome} act=${() => queue.cancel(key)} label="Cancel upload" busyLabel="Cancelling…" class="danger" />
                <${CancelButton} label="Keep it" ...${{ close }} />
            </div>
            <${Outcome} of=${outcome} />
        <//>
    `;
}
