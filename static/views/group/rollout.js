// The rollout of a group: how its devices get a new version, how far they are, and the form for it.

import * as api from "../../api.js";
import { CancelButton, Dialog } from "../../parts/dialog.js";
import { Form, TextField } from "../../parts/form.js";
import { say } from "../../parts/outcome.js";
import { Card } from "../../parts/page.js";
import { Facts, Short } from "../../parts/values.js";
import { mayChange } from "../../session.js";
import { count } from "../../text.js";
import { html, useState } from "../../ui.js";
import { clockOf, hoursInWords, isWithin, readHours } from "./hours.js";
import { Meanwhile } from "./metadata.js";
import { inWords } from "./stops.js";

const MOST_DEVICES = 4_294_967_295;
const MOST_PERCENT = 99;
const ZONES = Intl.supportedValuesOf("timeZone");
const HALT_NEEDS_BOTH = "Halting needs both: the devices and the percentage. Leave both empty to never halt.";

export function RolloutCard({ group }) {
    const [isEditing, setIsEditing] = useState(false);
    const { settings, progress } = group.rollout;
    const { hours, first, max_parallel: most, halt, max_failures: failures } = settings;
    const edit = html`<button type="button" onClick=${() => setIsEditing(true)}>Edit the rollout</button>`;
    const wave = first !== null && `The rest begins when ${count(first, "device has", "devices have")} reached the version`;
    const halts = halt !== null && `When ${count(halt.devices, "device")} or more and over ${halt.percent} % of those that tried have failed`;
    const facts = [
        ["Hours", hours === null ? "At any time" : html`<bdi>${inWords(hours)}</bdi>`],
        ["First wave", wave || "None: all devices may begin"],
        ["At once", most === null ? "As many as ask" : `${count(most, "device")} at most`],
        ["Halt", halts || "Never"],
        ["Pause of a device", failures === 0 ? "Never" : `After ${count(failures, "failure")} of one package in a row`],
    ];
    return html`
        <${Card} title="Rollout" actions=${mayChange.value && edit}>
            ${progress.target !== null && html`<${Progress} ...${{ progress }} />`}
            <${Facts} of=${facts} />
        <//>
        ${isEditing && html`<${EditRollout} ...${{ group }} close=${() => setIsEditing(false)} />`}
    `;
}

function Progress({ progress: { target, trying, between, reached, failed } }) {
    const parts = [
        [reached, "reached it", "reached it"],
        [trying, "is at it", "are at it"],
        [between, "is between two packages", "are between two packages"],
        [failed, "has failed", "have failed"],
    ].filter(([devices]) => devices > 0);
    const words = parts.map(([devices, one, many]) => count(devices, one, many)).join(", ");
    return html`<p>On the way to <${Short} of=${target} />: ${words || "no device has begun since the version was set"}.</p>`;
}

function EditRollout({ group, close }) {
    const [before] = useState(group.rollout.settings);
    const [windows, setWindows] = useState(before.hours?.windows ?? "");
    const [zone, setZone] = useState(before.hours?.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone);
    const send = async (values) => {
        await api.setRollout(group.id, read(values));
        say("The rollout is saved.");
        close();
    };
    const wrongHours = (value) => (value.trim() === "" ? null : readHours(value).complaint);
    const wrongZone = (value) => (windows.trim() !== "" && value.trim() === "" ? "Type a time zone such as Europe/Berlin." : null);
    return html`
        <${Dialog} title="Edit the rollout" ...${{ close }}>
            <${Meanwhile} hasChanged=${JSON.stringify(before) !== JSON.stringify(group.rollout.settings)} />
            <${Form} label="Save" busyLabel="Saving…" ...${{ send }} actions=${html`<${CancelButton} ...${{ close }} />`}>
                <${TextField}
                    name="windows"
                    label="Hours"
                    value=${before.hours?.windows}
                    hint="Such as mon-fri 22:00-06:00; sat,sun 00:00-24:00. Empty: at any time."
                    complaint=${wrongHours}
                    onInput=${({ target }) => setWindows(target.value)}
                />
                <${TextField}
                    name="zone"
                    label="Time zone"
                    value=${zone}
                    complaint=${wrongZone}
                    list="zones"
                    onInput=${({ target }) => setZone(target.value)}
                />
                <datalist id="zones">${ZONES.map((name) => html`<option key=${name} value=${name} />`)}</datalist>
                <${Echo} ...${{ windows, zone }} />
                <div class="pair">
                    <${NumberField}
                        name="first"
                        label="First wave"
                        value=${before.first}
                        hint="So many must reach the version before the rest begins. Empty: none."
                    />
                    <${NumberField}
                        name="max_parallel"
                        label="At once"
                        value=${before.max_parallel}
                        hint="So many at most. Empty: as many as ask."
                    />
                    <${NumberField}
                        name="halt_devices"
                        label="Halt after failed devices"
                        value=${before.halt?.devices}
                        hint="At least so many. Empty: never halt."
                        partner="halt_percent"
                    />
                    <${NumberField}
                        name="halt_percent"
                        label="and over percent"
                        value=${before.halt?.percent}
                        hint="Of those that tried, 0 to 99."
                        least=${0}
                        most=${MOST_PERCENT}
                        partner="halt_devices"
                    />
                </div>
                <${NumberField}
                    name="max_failures"
                    label="Pause a device after failures"
                    value=${before.max_failures}
                    hint="Of one package in a row: ten minutes, then an hour, then a day. 0: never."
                    least=${0}
                    missing="Type a number; 0 means never."
                />
            <//>
        <//>
    `;
}

/** A field for a whole number that may be empty; it is needed if that of its `partner`, the name of another field, is not. */
function NumberField({ name, label, value, hint, least = 1, most = MOST_DEVICES, partner, missing }) {
    const complaint = (text) => {
        if (text.trim() === "") {
            const isNeeded = partner !== undefined && document.getElementById(`field-${partner}`).value.trim() !== "";
            return isNeeded ? HALT_NEEDS_BOTH : null;
        }
        const isRight = /^\d+$/.test(text.trim()) && Number(text) >= least && Number(text) <= most;
        const range = most === MOST_DEVICES ? `from ${least} on` : `from ${least} to ${most}`;
        return isRight ? null : `“${label}” must be a whole number ${range}.`;
    };
    return html`<${TextField} inputmode="numeric" autocomplete="off" ...${{ name, label, value, hint, complaint, missing }} />`;
}

/** What the hours mean, in words, and whether it is one of them. */
function Echo({ windows: text, zone }) {
    return html`<p class="echo" role="status">${echoOf(text, zone.trim())}</p>`;
}

function echoOf(text, zone) {
    if (text.trim() === "") {
        return "Packages are offered at any time.";
    }
    const { windows, complaint } = readHours(text);
    if (complaint !== null) {
        return complaint;
    }
    const words = hoursInWords(windows);
    const sentence = `Packages are offered ${words.charAt(0).toLowerCase() === "e" ? words : `on ${words}`}.`;
    const clock = zone === "" ? null : clockOf(zone, new Date());
    if (clock === null) {
        return `${sentence} This browser does not know that time zone.`;
    }
    return `${sentence} There it is ${clock.text} now, which is ${isWithin(windows, clock) ? "one of these hours" : "none of these hours"}.`;
}

function read(values) {
    const number = (name) => (values[name].trim() === "" ? null : Number(values[name]));
    const [percent, devices] = [number("halt_percent"), number("halt_devices")];
    return {
        hours: values.windows.trim() === "" ? null : { windows: values.windows.trim(), zone: values.zone.trim() },
        first: number("first"),
        max_parallel: number("max_parallel"),
        halt: devices === null ? null : { percent, devices },
        max_failures: number("max_failures"),
    };
}
