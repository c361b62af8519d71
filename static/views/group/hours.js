// Hours of the week in which a rollout goes on: read as the server reads them, told in words, and whether it is one of them.

const DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const DAY_MINUTES = 24 * 60;
const WEEK_MINUTES = 7 * DAY_MINUTES;

/**
 * `{windows, complaint}` of a text such as `mon-fri 22:00-06:00; sat,sun 00:00-24:00`: a window has `days`, as numbers from Monday's 0
 * on, and `start` and `end` in minutes after midnight; one that ends at or before its start ends on the day after it.
 */
export function readHours(text) {
    const windows = [];
    for (const part of text.split(";")) {
        const window = readWindow(part.replace(/\s/g, "").toLowerCase());
        if (window === null) {
            return { windows: [], complaint: `“${part.trim()}” are no hours. Write them like mon-fri 08:00-18:00.` };
        }
        if (window.start === window.end || window.start === DAY_MINUTES) {
            return { windows: [], complaint: `“${part.trim()}” is no time at all. The whole day is 00:00-24:00.` };
        }
        windows.push({ ...window, end: window.end === 0 ? DAY_MINUTES : window.end });
    }
    return { windows, complaint: null };
}

function readWindow(text) {
    const [, list, times] = /^([a-z,-]*)(.*)$/.exec(text);
    if (text === "") {
        return null;
    }
    const days = list === "" ? [...DAYS.keys()] : readDays(list);
    if (days === null || times === "") {
        return days && { days, start: 0, end: DAY_MINUTES };
    }
    const found = /^(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)$/.exec(times);
    if (found === null) {
        return null;
    }
    const [startHour, startMinute, endHour, endMinute] = found.slice(1).map(Number);
    const [start, end] = [startHour * 60 + startMinute, endHour * 60 + endMinute];
    return Math.max(startMinute, endMinute) < 60 && Math.max(start, end) <= DAY_MINUTES ? { days, start, end } : null;
}

function readDays(list) {
    const days = new Set();
    for (const part of list.split(",")) {
        const [first, last] = part.split("-", 2).map((name) => DAYS.findIndex((day) => day === name || day.slice(0, 3) === name));
        const end = last ?? first;
        if (first < 0 || end < 0 || part.split("-").length > 2) {
            return null;
        }
        for (let more = 0; more <= (end + 7 - first) % 7; more += 1) {
            days.add((first + more) % 7);
        }
    }
    return [...days].sort();
}

/** Windows in words, such as `Monday to Friday from 22:00 to 06:00 of the next day`. */
export function hoursInWords(windows) {
    return windows.map(({ days, start, end }) => `${daysInWords(days)} ${timesInWords(start, end)}`).join("; ");
}

function daysInWords(days) {
    if (days.length === 7) {
        return "every day";
    }
    const runs = [];
    for (const day of days) {
        const run = runs.at(-1);
        run?.at(-1) === day - 1 ? run.push(day) : runs.push([day]);
    }
    const name = (day) => DAYS[day].charAt(0).toUpperCase() + DAYS[day].slice(1);
    const words = runs.flatMap((run) => (run.length > 2 ? [`${name(run[0])} to ${name(run.at(-1))}`] : run.map(name)));
    return words.length === 1 ? words[0] : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

function timesInWords(start, end) {
    const time = (minutes) => `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
    if (start === 0 && end === DAY_MINUTES) {
        return "all day";
    }
    return `from ${time(start)} to ${time(end)}${end <= start ? " of the next day" : ""}`;
}

/** What the clocks of a zone show: `{day, minute, text}`; `null` if the browser knows no such zone. */
export function clockOf(zone, date) {
    const options = { timeZone: zone, weekday: "long", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    try {
        const parts = new Intl.DateTimeFormat("en-GB", options).formatToParts(date);
        const { weekday, hour, minute } = Object.fromEntries(parts.map(({ type, value }) => [type, value]));
        return { day: DAYS.indexOf(weekday.toLowerCase()), minute: Number(hour) * 60 + Number(minute), text: `${weekday} ${hour}:${minute}` };
    } catch {
        return null;
    }
}

/** Whether a clock shows one of these hours. */
export function isWithin(windows, { day, minute }) {
    const now = day * DAY_MINUTES + minute;
    return windows.some(({ days, start, end }) =>
        days.some((first) => {
            const begin = first * DAY_MINUTES + start;
            const length = end > start ? end - start : end + DAY_MINUTES - start;
            // Sunday's night may reach into Monday.
            return (now - begin + WEEK_MINUTES) % WEEK_MINUTES < length;
        }),
    );
}
