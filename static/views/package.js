// Package: what it is, whether its file is whole, and who uses it.

import * as api from "../api.js";
import { isOf, useData } from "../data.js";
import { Card, Empty, Loaded, Page } from "../parts/page.js";
import { Facts, Moment, Text } from "../parts/values.js";
import { to } from "../router.js";
import { mayChange } from "../session.js";
import { asSentence, bytes, number } from "../text.js";
import { requirementsOf, restOf } from "../uploads/description.js";
import { html, useState } from "../ui.js";
import { ArtifactCard } from "./packages/artifact.js";
import { CopyButton } from "./packages/copy.js";
import { DeleteDialog } from "./packages/delete.js";
import { Groups, useGroupNames } from "./packages/groups.js";
import { DEVICE_TYPE, PackageState, packageName, Pairs, VERSION } from "./packages/texts.js";

const NOT_FOUND = 404;

export function Package({ id }) {
    const concerns = (message) => isOf(message, "package", "group");
    const found = useData(`package ${id}`, () => fetchOne(id), concerns);
    const names = useGroupNames();
    const isGone = found.status === NOT_FOUND;
    return html`
        <${Page} title=${found.data ? packageName(found.data) : `Package ${id}`} above=${html`<a class="back" href=${to(["packages"])}>All packages</a>`}>
            ${isGone ? html`<${Card}><${Gone} ...${{ id }} /><//>` : html`<${Loaded} of=${found} show=${(one) => html`<${Shown} ...${{ one, names }} reload=${found.reload} />`} />`}
        <//>
    `;
}

async function fetchOne(id) {
    const [known, stored] = await Promise.all([api.packageById(id), api.storedPackage(id)]);
    return { ...known, stored };
}

function Gone({ id }) {
    return html`<${Empty} title=${`There is no package ${id}.`}><p>It was deleted, or never was. <a href=${to(["packages"])}>Look at all packages</a>.</p><//>`;
}

function Shown({ one, names, reload }) {
    return html`
        ${one.state !== "whole" && html`<${Damage} ...${{ one }} />`}
        <div class="columns">
            <${What} ...${{ one }} />
            <${File} ...${{ one }} />
        </div>
        <${Use} ...${{ one, names, reload }} />
        ${one.artifact !== null && html`<${ArtifactCard} of=${one.artifact} />`}
    `;
}

function Damage({ one: { state, detail, found_at } }) {
    return html`
        <div class="damage" role="status">
            <p><strong>${state === "missing" ? "The file is missing." : "The file is corrupt."}</strong> <${Text} of=${asSentence(detail ?? "nobody knows why")} /> Found <${Moment} at=${found_at} />.</p>
            <p>Devices are not offered it. ${mayChange.value ? html`To mend it, <a href=${to(["packages"])}>upload the same file again</a>` : "Uploading the same file again mends it"}: the new package is one of its own, and this one is whole again.</p>
        </div>
    `;
}

function What({ one: { id, metadata } }) {
    const requirements = requirementsOf(metadata);
    const rest = restOf(metadata);
    return html`
        <${Card} title="What it is">
            <${Facts} of=${[
                ["Number", number(id)],
                ["Version", html`<${Text} of=${metadata[VERSION]} />`],
                ["Device type", html`<${Text} of=${metadata[DEVICE_TYPE]} />`],
                ["Requires", requirements.length === 0 ? html`<span class="quiet">nothing: every device of the type may install it</span>` : html`<${Pairs} of=${requirements} />`],
                rest.length === 0 ? null : ["Further metadata", html`<${Pairs} of=${rest} />`],
            ]} />
        <//>
    `;
}

function File({ one: { state, length, verified_at, stored } }) {
    const { created, sha256, metadata } = stored;
    const directory = metadata["rdfm.storage.local.directory"];
    const address = `/local_storage/${metadata["rdfm.storage.local.uuid"]}`;
    return html`
        <${Card} title="File">
            <${Facts} of=${[
                ["State", html`<${PackageState} of=${state} />`],
                ["Last read", verified_at === null ? "not since it was uploaded" : html`<${Moment} at=${verified_at} />, and it was whole`],
                ["Length", html`${bytes(length)} ${length >= 1024 && html`<span class="quiet">(${number(length)} bytes)</span>`}`],
                ["SHA-256", html`<code class="hash">${sha256}</code> <${CopyButton} text=${sha256} what="SHA-256" />`],
                ["Uploaded", html`<${Moment} at=${created} />`],
                directory === undefined ? null : ["Directory", html`<${Text} of=${directory} />`],
                state === "whole" ? ["Download", html`<a href=${address} download>Download the file</a>`] : null,
            ]} />
        <//>
    `;
}

function Use({ one, names, reload }) {
    const [isDeleting, setIsDeleting] = useState(false);
    const isUsed = one.groups.length > 0;
    return html`
        <${Card} title="Where it is used">
            <p>${isUsed ? html`Groups: <${Groups} ids=${one.groups} ...${{ names }} />` : "No group has it, so no device is offered it."}</p>
            ${mayChange.value && isUsed && html`<p class="hint">It can be deleted when no group has it any more: take it out of these groups first.</p>`}
            ${mayChange.value && !isUsed && html`<div class="actions"><button type="button" class="danger" onClick=${() => setIsDeleting(true)}>Delete package</button></div>`}
            ${isDeleting && html`<${DeleteDialog} ...${{ one, names, reload }} close=${() => setIsDeleting(false)} />`}
        <//>
    `;
}
