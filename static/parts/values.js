// Values as they are shown: moments, states, and texts that devices and uploaders wrote.

import { html, signal, useState } from "../ui.js";
import { beginning, localMoment, span } from "../text.js";

const TICK_MS = 10_000;
const LONG_TEXT = 400;
const SHORT_TEXT = 40;
/** As much as one wants to see on hover. */
const TITLE_LENGTH = 1_000;

/** Moves on every few seconds, for what is told as "3 min ago". */
const now = signal(Date.now());
setInterval(() => document.hidden || (now.value = Date.now()), TICK_MS);

/** The states of devices: what they are called, and the colour that they have. */
export const STATES = {
    updating: { label: "Updating", tone: "busy", says: "A package was offered, and what came of it is not known yet." },
    failing: { label: "Failing", tone: "bad", says: "A package that they are to install has failed on them." },
    silent: { label: "Silent", tone: "quiet", says: "They were not heard for a while." },
    blocked: { label: "Blocked", tone: "bad", says: "No package leads them to the version that their group wants." },
    waiting: { label: "Waiting", tone: "notable", says: "There is an update for them, which they have not begun." },
    up_to_date: { label: "Up to date", tone: "good", says: "They run what their group wants." },
    no_target: { label: "No target", tone: "quiet", says: "Nothing is wanted of them: they are in no group, or its policy names no version." },
};

/** A word with a colour, and a mark for those who don't see it: `good`, `busy`, `notable`, `bad` or `quiet`. */
export function Chip({ tone, title, children }) {
    return html`<span class=${`chip ${tone}`} title=${title}>${children}</span>`;
}

/** The state of a device. */
export function State({ of }) {
    const { label, tone, says } = STATES[of] ?? { label: of, tone: "quiet" };
    return html`<${Chip} tone=${tone} title=${says}>${label}<//>`;
}

/** A moment in local time; UTC on hover. */
export function Moment({ at }) {
    return at === null || at === undefined ? "never" : html`<time datetime=${at} title=${utc(at)}>${localMoment(at)}</time>`;
}

/** A sentence of the server; the moments in it, which it tells in UTC, in local time. */
export function Sentence({ of }) {
    const parts = of.split(/(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)/);
    const isMoment = (part, position) => position % 2 === 1 && !Number.isNaN(Date.parse(part));
    return html`<bdi>${parts.map((part, position) => (isMoment(part, position) ? html`<${Moment} at=${part} />` : part))}</bdi>`;
}

/** How long ago a moment was; the moment itself on hover. */
export function Ago({ at }) {
    if (at === null || at === undefined) {
        return "never";
    }
    const seconds = (Math.max(now.value, Date.parse(at)) - Date.parse(at)) / 1000;
    const text = seconds < 15 ? "just now" : `${span(seconds)} ago`;
    return html`<time datetime=${at} title=${`${localMoment(at)} (${utc(at)})`}>${text}</time>`;
}

function utc(moment) {
    return `${new Date(moment).toISOString().replace("T", " ").replace(/\.\d+Z/, "")} UTC`;
}

/** A text that is not ours: its direction stays its own, and what is long is cut until somebody wants to see it. */
export function Text({ of, limit = LONG_TEXT }) {
    const [isWhole, setIsWhole] = useState(false);
    const text = typeof of === "string" ? of : JSON.stringify(of);
    if (isWhole || text.length <= limit) {
        return html`<bdi>${text}</bdi>`;
    }
    return html`<bdi>${beginning(text, limit)}</bdi> <button type="button" class="link" onClick=${() => setIsWhole(true)}>Show all</button>`;
}

/** The beginning of a text that is not ours, for a line that has no room for more. */
export function Short({ of, limit = SHORT_TEXT }) {
    return of.length <= limit ? html`<bdi>${of}</bdi>` : html`<bdi title=${beginning(of, TITLE_LENGTH)}>${beginning(of, limit)}</bdi>`;
}
/** The first digits of a hash; all of them on hover. */
export function Fingerprint({ of, digits = 16 }) {
    return html`<code class="fingerprint" title=${of}>${of.slice(0, digits).replace(/(.{4})(?=.)/g, "$1 ")}…</code>`;
}

/** Names and values below one another: `[name, value]` each; what is `null` is left out. */
export function Facts({ of }) {
    const facts = of.filter((fact) => fact !== null);
    const one = ([name, value], position) => html`<div key=${typeof name === "string" ? name : position}><dt>${name}</dt><dd>${value}</dd></div>`;
    return html`<dl class="facts">${facts.map(one)}</dl>`;
}
