// How things are written for people.

const NUMBER = new Intl.NumberFormat();
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const BYTE_UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];
const SPANS = [
    ["day", 86_400],
    ["h", 3_600],
    ["min", 60],
    ["s", 1],
];

/** The API's sentences begin small and end without a full stop, as they stand in logs too. */
export function asSentence(text) {
    const ended = /[.!?…]$/.test(text) ? text : `${text}.`;
    return ended.charAt(0).toUpperCase() + ended.slice(1);
}

export function number(value) {
    return NUMBER.format(value);
}

/** Such as `1 device`, `1,024 devices`. */
export function count(value, one, many = `${one}s`) {
    return `${number(value)} ${value === 1 ? one : many}`;
}

/** Such as `1.5 GiB`. */
export function bytes(value) {
    let unit = 0;
    let shown = value;
    while (shown >= 1024 && unit < BYTE_UNITS.length - 1) {
        shown /= 1024;
        unit += 1;
    }
    const rounded = shown >= 100 || unit === 0 ? Math.round(shown) : Math.round(shown * 10) / 10;
    return `${NUMBER.format(rounded)} ${unit === 0 && value === 1 ? "byte" : BYTE_UNITS[unit]}`;
}

/** How long something takes, by its largest unit: `45 s`, `3 min`, `2 h`, `5 days`. */
export function span(seconds) {
    const [unit, length] = SPANS.find(([, length]) => Math.abs(seconds) >= length) ?? ["s", 1];
    const value = Math.round(seconds / length);
    return `${NUMBER.format(value)} ${unit === "day" && Math.abs(value) !== 1 ? "days" : unit}`;
}

/** A moment in the browser's time zone. */
export function localMoment(moment) {
    return MOMENT.format(new Date(moment));
}

/** The beginning of a text that may be long. */
export function beginning(text, limit) {
    return text.length > limit ? `${text.slice(0, limit)}…` : text;
}

/** What a group is called. */
export function groupName(group) {
    const { name, description } = group.metadata;
    const given = [name, description].find((text) => typeof text === "string" && text.trim() !== "");
    return given ?? `Group ${group.id}`;
}
