// The name, the description and whatever else people attached to a group: forms for it.

import * as api from "../../api.js";
import { CancelButton, Dialog } from "../../parts/dialog.js";
import { Form, TextArea, TextField } from "../../parts/form.js";
import { say } from "../../parts/outcome.js";
import { go } from "../../router.js";
import { html, useState } from "../../ui.js";

const NOT_AN_OBJECT = "The further metadata are no JSON object. Write them like {\"site\": \"Kiel\"}, or leave the field empty.";
const TWICE = "The name and the description have fields of their own: take them out of the further metadata.";

export function CreateGroup({ close }) {
    const send = async (values) => {
        const { id } = await api.createGroup(read(values));
        say("The group is created. Give it packages, devices and a version.");
        go(["groups", id]);
    };
    return html`
        <${Dialog} title="Create a group" ...${{ close }}>
            <${Form} label="Create" busyLabel="Creating…" ...${{ send }} actions=${html`<${CancelButton} ...${{ close }} />`}>
                <${Fields} metadata=${{}} isNew />
            <//>
        <//>
    `;
}

export function EditMetadata({ group, close }) {
    const [before] = useState(group.metadata);
    const send = async (values) => {
        await api.setGroupMetadata(group.id, read(values));
        say("The group's description is saved.");
        close();
    };
    return html`
        <${Dialog} title="Edit name and description" ...${{ close }}>
            <${Meanwhile} hasChanged=${JSON.stringify(before) !== JSON.stringify(group.metadata)} />
            ${hasInexactNumbers(before) && html`<p class="notice">Some numbers here have more digits than a browser keeps. Change this group by the API instead.</p>`}
            <${Form} label="Save" busyLabel="Saving…" ...${{ send }} actions=${html`<${CancelButton} ...${{ close }} />`}>
                <${Fields} metadata=${before} />
            <//>
        <//>
    `;
}

/** Said in a dialog whose fields are not what the group has any more. */
export function Meanwhile({ hasChanged }) {
    return html`<p class="notice" role="status" hidden=${!hasChanged}>
        Somebody else has changed this meanwhile. What you see here is as it was before: saving it replaces the other change.
    </p>`;
}

function Fields({ metadata, isNew = false }) {
    const { name, description, others } = parts(metadata);
    const complaint = (text) => (text.trim() === "" ? null : complaintOf(text));
    return html`
        <${TextField} name="name" label="Name" value=${name} missing=${isNew ? "Type a name." : undefined} autocomplete="off" />
        <${TextField} name="description" label="Description" value=${description} autocomplete="off" />
        <${TextArea}
            name="others"
            label="Further metadata (optional)"
            hint="A JSON object, for your scripts."
            value=${Object.keys(others).length === 0 ? "" : JSON.stringify(others, null, 4)}
            ...${{ complaint }}
            class="code"
        />
    `;
}

/** What has fields of its own, and the rest: also names that are no text. */
function parts({ name, description, ...others }) {
    const own = (key, value) => {
        if (value !== undefined && typeof value !== "string") {
            others[key] = value;
            return "";
        }
        return value ?? "";
    };
    return { name: own("name", name), description: own("description", description), others };
}

function complaintOf(text) {
    const others = objectOf(text);
    if (others === null) {
        return NOT_AN_OBJECT;
    }
    return typeof others.name === "string" || typeof others.description === "string" ? TWICE : null;
}

function objectOf(text) {
    try {
        const value = JSON.parse(text);
        return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
    } catch {
        return null;
    }
}

function read({ name, description, others }) {
    const given = (key, value) => (value.trim() === "" ? {} : { [key]: value.trim() });
    return { ...objectOf(others || "{}"), ...given("name", name), ...given("description", description) };
}

function hasInexactNumbers(value) {
    if (typeof value === "object" && value !== null) {
        return Object.values(value).some(hasInexactNumbers);
    }
    return typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
}
