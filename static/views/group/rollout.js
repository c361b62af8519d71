// The rollout of a group: how its devices get a new version, how far they are, and the form for it.

import * as api from "../../api.js";
import { CancelButton, Dialog } from "../../parts/dialog.js";
import { Form, TextField } from "../../parts/form.js";
import { say } from "../../parts/outcome.js";
import { Card } from "../../parts/page.js";
import { Facts } from "../../parts/values.js";
import { mayChange } from "../../session.js";
import { count } from "../../text.js";
import { html, useState } from "../../ui.js";
import { clockOf, hoursInWords, isWithin, readHours } from "./hours.js";
import { Meanwhile } from "./metadata.js";
import { inWords } from "./stops.js";

const MOST_DEVICES = 4_294_967_295;
const MOST_PERCENT = 99;

export function RolloutCard({ group }) {
    const [isEditing, setIsEditing] = useState(false);
    const { settings, progress } = group.rollout;
    const { hours, first, max_parallel: most, halt, max_failures: failures } = settings;
    const edit = html`<button type="button" onClick=${() => setIsEditing(true)}>Edit the rollout</button>`;
    const facts = [
        ["Hours", hours === null ? "At any time" : html`<bdi>${inWords(hours)}</bdi>`],
        ["First wave", first === null ? "None: all devices may begin" : `The rest begins when ${count(first, "device has", "devices have")} reached the version`],
        ["At once", most === null ? "As many as ask" : `${count(most, "device")} at most`],
        ["Halt", halt === null ? "Never" : `When ${count(halt.devices, "device")} or more and over ${halt.percent} % of those that tried have failed`],
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
        [reached, "reached it"],
        [trying, trying === 1 ? "is at it" : "are at it"],
        [between, between === 1 ? "is between two packages" : "are between two packages"],
        [failed, failed === 1 ? "has failed" : "have failed"],
    ].filter(([devices]) => devices > 0);
    const words = parts.map(([devices, what]) => `${devices} ${what}`).join(", ");
    return html`<p>On the way to <bdi>${target.length > 60 ? `${target.slice(0, 60)}…` : target}</bdi>: ${words === "" ? "no device has begun since the version was set" : words}.</p>`;
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
    const [hasPercent, hasDevices] = ["halt_devices", "halt_percent"].map((other) => () => document.getElementById(`field-${other}`).value.trim() !== "");
    const optional = (label, least, most) => (value) => (value.trim() === "" ? null : wrongNumber(label, value, least, most));
    const both = (isNeeded, check) => (value) => (value.trim() === "" && isNeeded() ? "Halting needs both: the devices and the percentage. Leave both empty to never halt." : check(value));
    const numeric = { inputmode: "numeric", autocomplete: "off" };
    return html`
        <${Dialog} title="Edit the rollout" ...${{ close }}>
            <${Meanwhile} hasChanged=${JSON.stringify(before) !== JSON.stringify(group.rollout.settings)} />
            <${Form} label="Save" busyLabel="Saving…" ...${{ send }} actions=${html`<${CancelButton} ...${{ close }} />`}>
                <${TextField} name="windows" label="Hours" value=${before.hours?.windows} hint="Such as mon-fri 22:00-06:00; sat,sun 00:00-24:00. Empty: at any time." complaint=${wrongHours} onInput=${({ target }) => setWindows(target.value)} />
                <${TextField} name="zone" label="Time zone" value=${zone} complaint=${wrongZone} list="zones" onInput=${({ target }) => setZone(target.value)} />
                <datalist id="zones">${Intl.supportedValuesOf("timeZone").map((name) => html`<option key=${name} value=${name} />`)}</datalist>
                <${Echo} ...${{ windows, zone }} />
                <div class="pair">
                    <${TextField} name="first" label="First wave" value=${before.first} hint="So many must reach the version before the rest begins. Empty: none." complaint=${optional("The first wave", 1, MOST_DEVICES)} ...${numeric} />
                    <${TextField} name="max_parallel" label="At once" value=${before.max_parallel} hint="So many at most. Empty: as many as ask." complaint=${optional("How many at once", 1, MOST_DEVICES)} ...${numeric} />
                    <${TextField} name="halt_devices" label="Halt after failed devices" value=${before.halt?.devices} hint="At least so many. Empty: never halt." complaint=${both(hasDevices, optional("The failed devices", 1, MOST_DEVICES))} ...${numeric} />
                    <${TextField} name="halt_percent" label="and over percent" value=${before.halt?.percent} hint="Of those that tried, 0 to 99." complaint=${both(hasPercent, optional("The percentage", 0, MOST_PERCENT))} ...${numeric} />
                </div>
                <${TextField} name="max_failures" label="Pause a device after failures" value=${before.max_failures} hint="Of one package in a row: ten minutes, then an hour, then a day. 0: never." missing="Type a number; 0 means never." complaint=${optional("The failures", 0, MOST_DEVICES)} ...${numeric} />
            <//>
        <//>
    `;
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

function wrongNumber(label, value, least, most) {
    const number = Number(value);
    const isRight = /^\d+$/.test(value.trim()) && number >= least && number <= most;
    return isRight ? null : `${label} must be a whole number ${most === MOST_DEVICES ? `from ${least} on` : `from ${least} to ${most}`}.`;
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
