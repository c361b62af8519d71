// What a package is: asked while its file is on the way, or when it is there.

import * as api from "../api.js";
import { CancelButton, Dialog } from "../parts/dialog.js";
import { Form, TextField } from "../parts/form.js";
import { html, useEffect, useRef, useState } from "../ui.js";
import {
    complaintOfDirectory,
    complaintOfKey,
    complaintOfRequirement,
    complaintOfSha256,
    DEVICE_TYPE,
    requirementsOf,
    VERSION,
} from "./description.js";
import { looksLikeArtifact } from "./artifact.js";
import * as queue from "./queue.js";

const VERSIONS = "known-versions";
const TYPES = "known-types";
const TYPES_NAMED = 8;

/** Asks what this upload is. */
export function DescribeDialog({ upload }) {
    const { key, name, file, state, description, outlook } = upload;
    const [isArtifact, setIsArtifact] = useState(false);
    const requires = useRows(description.requires, [VERSION, ""]);
    const more = useRows(description.more, ["", ""]);
    useEffect(() => {
        looksLikeArtifact(file).then(setIsArtifact);
    }, [file]);
    const others = queue.toDescribe.value.slice(1);
    const next = () => (queue.toDescribe.value = others);
    const offered = outlook?.metadata ?? {};
    // What an artifact says is taken where nothing is typed; before it is complete, nobody knows what that is.
    const mayLeave = (metadataKey) => Boolean(offered[metadataKey]) || (isArtifact && outlook === null);
    const hint = (metadataKey) => {
        if (offered[metadataKey]) {
            return html`Left empty: <bdi>${offered[metadataKey]}</bdi>, as the artifact says.`;
        }
        return mayLeave(metadataKey) ? "Left empty: what the artifact says." : undefined;
    };
    const types = outlook?.artifact?.device_types ?? [];
    const typeHint = types.length > 1 ? html`The artifact is for <bdi>${types.slice(0, TYPES_NAMED).join(", ")}</bdi>${types.length > TYPES_NAMED && " and more"}: say for which.` : hint(DEVICE_TYPE);
    const send = (values) => {
        const value = (field) => (values[field] ?? "").trim();
        queue.describe(key, {
            version: value("version"),
            type: value("type"),
            requires: requires.read(value, "requires"),
            more: more.read(value, "more"),
            directory: value("directory"),
            sha256: value("sha256").toLowerCase(),
        });
        next();
    };
    const isHere = state === "complete";
    const label = isHere ? "Publish" : "Publish when it is uploaded";
    const actions = html`<${CancelButton} label=${others.length > 0 ? "Skip" : "Later"} close=${next} />`;
    const doubt = (field, question) => html`<${Doubt} ...${{ field, question }} />`;
    return html`
        <${Dialog} title="What is this package?" class="describe" close=${() => (queue.toDescribe.value = [])}>
            <p class="described"><bdi>${name}</bdi>${others.length > 0 && html` <span class="quiet">and ${others.length} more after it</span>`}</p>
            <${Form} ...${{ label, send, actions }} busyLabel="Publishing…">
                <div class="pair">
                    <${TextField}
                        name="version"
                        label="Version"
                        value=${description.version}
                        hint=${hint(VERSION)}
                        missing=${mayLeave(VERSION) ? undefined : "Type the version that the package brings."}
                        complaint=${blank("version")}
                        list=${VERSIONS}
                        autocomplete="off"
                    />
                    <${TextField}
                        name="type"
                        label="Device type"
                        value=${description.type}
                        hint=${typeHint}
                        missing=${mayLeave(DEVICE_TYPE) ? undefined : "Type the device type that the package is for."}
                        complaint=${blank("device type")}
                        list=${TYPES}
                        autocomplete="off"
                    />
                </div>
                ${doubt("type", (type) => type !== "" && { filter: { type }, sentence: "No device is of this type: as long as that is so, none gets the package." })}
                <${Rows} legend="Requires" of=${requires} name="requires" add="Add requirement" hint="What a device must report before it may install this. Nothing: every device of the type may."
                    complaintOf=${complaintOfRequirement} keys=${[VERSION]} values=${VERSIONS} offered=${requirementsOf(offered)}
                    below=${(row) => doubt(`requires-${row}`, () => doubtOfRequirement(row))} />
                <details open=${more.rows.length > 0 || description.directory !== "" || description.sha256 !== ""}>
                    <summary>More</summary>
                    <${TextField}
                        name="sha256"
                        label="Expected SHA-256"
                        value=${description.sha256}
                        complaint=${(value) => complaintOfSha256(value.trim())}
                        hint="If the file has another one, nothing of it is kept."
                        autocomplete="off"
                    />
                    <${TextField}
                        name="directory"
                        label="Directory"
                        value=${description.directory}
                        complaint=${(value) => complaintOfDirectory(value.trim())}
                        hint="Where the server keeps the file, below its packages."
                        autocomplete="off"
                    />
                    <${Rows}
                        legend="Further metadata"
                        of=${more}
                        name="more"
                        add="Add metadata"
                        hint="For people and programs; devices are not asked for it."
                        complaintOf=${complaintOfKey}
                    />
                </details>
                <${Suggestions} ofArtifact=${types} />
            <//>
        <//>
    `;
}

function blank(what) {
    return (value) => (value !== "" && value.trim() === "" ? `The ${what} has nothing but blanks.` : null);
}

function doubtOfRequirement(row) {
    const [key, value] = ["key", "value"].map((part) => document.getElementById(`field-requires-${row}-${part}`)?.value.trim() ?? "");
    const sentence = "No device reports this: as long as that is so, none gets the package.";
    const filter = key === VERSION ? { version: value } : { search: `${key} ${value}` };
    return key !== "" && value !== "" && { filter, sentence };
}

/** Rows of keys and values: which there are, and what they held at first. */
function useRows(pairs, empty) {
    const lastRow = useRef(pairs.length);
    const [rows, setRows] = useState(() => pairs.map((pair, index) => ({ row: index + 1, pair })));
    const add = () => {
        lastRow.current += 1;
        // The usual key is offered once.
        const isThere = rows.some(({ pair }) => pair[0] === empty[0]);
        setRows([...rows, { row: lastRow.current, pair: isThere ? ["", ""] : empty, isNew: true }]);
    };
    const remove = (row) => setRows(rows.filter((other) => other.row !== row));
    const read = (value, name) => rows.map(({ row }) => [value(`${name}-${row}-key`), value(`${name}-${row}-value`)]);
    return { rows, add, remove, read };
}

function Rows({ legend, of, name, add, hint, complaintOf, keys = [], values, offered = [], below }) {
    const node = useRef(null);
    const keysId = `keys-${name}`;
    useEffect(() => {
        // A row that was just added is what one goes on with.
        if (of.rows.at(-1)?.isNew) {
            const inputs = [...node.current.querySelectorAll(".row:last-of-type input")];
            (inputs.find(({ value }) => value === "") ?? inputs[0])?.focus();
        }
    }, [of.rows.length]);
    const isTwice = (key) => [...node.current.querySelectorAll("input[data-key]")].filter((input) => input.value.trim() === key).length > 1;
    const complaint = (value) => (isTwice(value.trim()) ? `${value.trim()} is there twice.` : complaintOf(value.trim()));
    const removed = (row) => {
        of.remove(row);
        node.current.querySelector(".add").focus();
    };
    return html`
        <fieldset ref=${node}>
            <legend>${legend}</legend>
            <p class="hint">${hint}</p>
            ${of.rows.length === 0 && offered.map(([key, value]) => html`<p key=${key} class="hint">The artifact says: <bdi>${key}</bdi> is <bdi>${String(value)}</bdi>. That counts unless another version is typed.</p>`)}
            ${of.rows.map(
                ({ row, pair }) => html`
                    <div key=${row} class="row">
                        <${TextField}
                            name=${`${name}-${row}-key`}
                            label="Key"
                            value=${pair[0]}
                            missing="Type a key, or remove the row."
                            complaint=${complaint}
                            list=${keysId}
                            data-key
                            autocomplete="off"
                        />
                        <${TextField}
                            name=${`${name}-${row}-value`}
                            label="Value"
                            value=${pair[1]}
                            missing="Type a value, or remove the row."
                            list=${values}
                            autocomplete="off"
                        />
                        <button type="button" onClick=${() => removed(row)}>Remove</button>
                    </div>
                    ${below?.(row)}
                `,
            )}
            <datalist id=${keysId}>${keys.map((key) => html`<option key=${key} value=${key} />`)}</datalist>
            <button type="button" class="add" onClick=${of.add}>${add}</button>
        </fieldset>
    `;
}

/** What devices report, for what is typed. */
function Suggestions({ ofArtifact }) {
    const [{ versions, types }, setFound] = useState({ versions: [], types: [] });
    useEffect(() => {
        // They are a convenience: without them one types.
        api.overview().then(setFound, () => {});
    }, []);
    const texts = (values) => values.filter((value) => value !== null).map((value) => html`<option key=${value} value=${value} />`);
    return html`
        <datalist id=${VERSIONS}>${texts(versions.map(({ version }) => version))}</datalist>
        <datalist id=${TYPES}>${texts([...new Set([...ofArtifact, ...types.map(({ type }) => type)])])}</datalist>
    `;
}

/**
 * Whether a package like this is for no device at all, asked when something was typed in a field that begins with `field`. `question`
 * is a function of that field's value: which devices there should be, and what to say if there are none.
 */
function Doubt({ field, question }) {
    const [sentence, setSentence] = useState("");
    const place = useRef(null);
    const asked = useRef(null);
    asked.current = question;
    useEffect(() => {
        let turn = 0;
        const form = place.current.closest("form");
        const ask = async () => {
            turn += 1;
            const mine = turn;
            const doubt = asked.current(document.getElementById(`field-${field}`)?.value.trim());
            let found = "";
            try {
                if (doubt && (await api.devices({ ...doubt.filter, limit: 1 })).total === 0) {
                    found = doubt.sentence;
                }
            } catch {
                // Nobody knows, so nothing is said.
            }
            if (mine === turn) {
                setSentence(found);
            }
        };
        const hear = ({ target }) => target.id.startsWith(`field-${field}`) && ask();
        form.addEventListener("change", hear);
        ask();
        return () => {
            turn = -1;
            form.removeEventListener("change", hear);
        };
    }, [field]);
    return html`<p class="doubt" role="status" ref=${place}>${sentence}</p>`;
}
