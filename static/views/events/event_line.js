// What happened, in words: a sentence for each type of event, with the ways to what it speaks of. The only place that has them.

import { Ago, Short, Text } from "../../parts/values.js";
import { to } from "../../router.js";
import { asSentence, bytes, count } from "../../text.js";
import { html } from "../../ui.js";

/** Of more devices than this, an event is told with their number alone. */
const NAMED_DEVICES = 3;

/** What of a group was changed. */
const GROUP_PARTS = { metadata: "description", packages: "packages", policy: "policy", rollout: "rollout" };

/** A sentence of the data of an event, and its tone, as those of chips; most events are plain. */
const SENTENCES = {
    "attempt.offered": { tone: "busy", says: (data) => html`${device(data)} was offered ${step(data)}.` },
    "attempt.fetched": { tone: "busy", says: (data) => html`${device(data)} has fetched all of ${step(data)}.` },
    "attempt.succeeded": {
        tone: "good",
        says: (data) => html`${device(data)} was updated from ${version(data.from_version)} to ${version(data.to_version)}.`,
    },
    "attempt.reverted": {
        tone: "bad",
        says: (data) => html`${device(data)} fetched ${step(data)} and came back with ${version(data.from_version)}.`,
    },
    "attempt.failed": { tone: "bad", says: (data) => html`${device(data)} fetches ${step(data)} again and again.` },
    "attempt.superseded": { says: (data) => html`${device(data)} is not to install ${step(data)} any more.` },
    "attempt.expired": { tone: "notable", says: (data) => html`${device(data)} did not go on with ${step(data)}.` },
    "device.held_back": {
        tone: "bad",
        says: (data) => html`${aPackage(data.package, true)} has failed on ${device(data)} ${times(data.failures)}: the device pauses.`,
    },
    "device.released": { says: (data) => html`${device(data)} does not pause any more.` },
    "device.accepted": { tone: "good", says: (data) => html`${device(data)} was accepted.` },
    "device.changed": { says: changed },
    "device.removed": { says: ({ devices: ids }) => (ids.length === 1 ? `Device ${ids[0]} was removed.` : `${count(ids.length, "device")} were removed.`) },
    "group.created": { says: (data, groups) => html`${group(data.group, groups, true)} was created.` },
    "group.changed": { says: (data, groups) => html`The ${GROUP_PARTS[data.what] ?? data.what} of ${group(data.group, groups)} changed.` },
    "group.deleted": { says: (data) => html`Group ${data.group} was deleted.` },
    "group.halted": {
        tone: "bad",
        says: (data, groups) =>
            html`${group(data.group, groups, true)} was halted: ${data.failed} of ${data.tried} devices failed on the way to ${version(data.target)}.`,
    },
    "group.resumed": { says: (data, groups) => html`Offers go on in ${group(data.group, groups)}.` },
    "registration.waiting": { tone: "notable", says: (data) => html`${address(data)} asks to be let in.` },
    "registration.rejected": { says: (data) => html`${address(data, "rejected")} was rejected.` },
    "package.uploaded": {
        tone: "good",
        says: (data) => html`${aPackage(data.package, true)} was uploaded: ${version(data.version)}, ${bytes(data.length_bytes)}.`,
    },
    "package.deleted": { says: (data) => html`Package ${data.package} was deleted.` },
    "package.damaged": {
        tone: "bad",
        says: (data) => html`${aPackage(data.package, true)} is ${data.state}: <${Text} of=${asSentence(data.detail)} limit=${200} />`,
    },
    "package.whole": { tone: "good", says: (data) => html`${aPackage(data.package, true)} is whole again.` },
    "concern.raised": { tone: "notable", says: ({ sentence }) => asSentence(sentence) },
    "concern.cleared": { tone: "good", says: ({ name }) => html`“${name.replaceAll("_", " ")}” is a concern no more.` },
    "webhook.test": { says: () => "Somebody tried the webhooks." },
};

/** An event as a line of a list. `groups` says what groups are called, by their id, if that is known. */
export function EventLine({ of: event, groups = new Map() }) {
    const { says, tone = "quiet" } = SENTENCES[event.type] ?? { says: () => `${event.type.replaceAll(/[._]/g, " ")}.` };
    return html`
        <li class="event">
            <span class=${`event-mark ${tone}`} aria-hidden="true"></span>
            <span class="event-sentence">${says(event.data, groups)}</span>
            <span class="event-time"><${Ago} at=${event.time} /></span>
        </li>
    `;
}

function device({ device }) {
    return html`<a href=${to(["devices", device])}>Device ${device}</a>`;
}

function devices(ids) {
    if (ids.length > NAMED_DEVICES) {
        return count(ids.length, "device");
    }
    const between = (position) => (position === 0 ? "" : position === ids.length - 1 ? " and " : ", ");
    return ids.map((id, position) => html`${between(position)}${device({ device: id })}`);
}

function changed({ devices: ids, what, group: id }, groups) {
    const [were, names] = ids.length === 1 ? ["was", "a new name"] : ["were", "new names"];
    if (what === "name") {
        return html`${devices(ids)} got ${names}.`;
    }
    return id === null
        ? html`${devices(ids)} ${were} taken out of their group.`
        : html`${devices(ids)} ${were} put into ${group(id, groups)}.`;
}

function group(id, groups, isFirst = false) {
    const fallback = `${isFirst ? "Group" : "group"} ${id}`;
    return html`<a href=${to(["groups", id])}><${Short} of=${groups.get(id) ?? fallback} /></a>`;
}

function aPackage(id, isFirst = false) {
    return html`<a href=${to(["packages", id])}>${isFirst ? "Package" : "package"} ${id}</a>`;
}

function step({ package: id, to_version: brought }) {
    return html`${aPackage(id)} (${version(brought)})`;
}

function version(text) {
    return html`<${Short} of=${text} />`;
}

function address({ mac_address: text }, state) {
    return html`<a href=${to(["registrations"], { state, search: text })}><${Short} of=${text} /></a>`;
}

function times(failures) {
    return failures === 1 ? "once" : `${failures} times in a row`;
}
