// Devices that were heard just now, for rows that show when: the server is not asked again for that.

import { listen } from "../../live.js";
import { useEffect, useRef, useState } from "../../ui.js";

/** What `row` is with its last access as it is known by now. `rows` are those that are shown. */
export function useHeard(rows) {
    const [heard, setHeard] = useState(() => new Map());
    const shown = useRef(rows);
    shown.current = rows;
    useEffect(() => listen((message) => {
        if (message.type !== "devices" || message.many) {
            return;
        }
        const ids = new Set(message.heard);
        const mine = shown.current.filter(({ id }) => ids.has(id));
        if (mine.length > 0) {
            const now = new Date().toISOString();
            setHeard((before) => new Map([...before, ...mine.map(({ id }) => [id, now])]));
        }
    }), []);
    return (row) => {
        const at = heard.get(row.id);
        return at === undefined || (row.last_access !== null && row.last_access > at) ? row : { ...row, last_access: at };
    };
}

/** Whether a message says that one of these devices may be shown otherwise now, apart from when it was heard. */
export function concernsDevices(message, rows) {
    if (message.type !== "devices") {
        return false;
    }
    // Who was silent, and is heard, is in another state.
    const silent = new Set(rows.filter(({ state }) => state === "silent").map(({ id }) => id));
    return message.many || message.changed.length > 0 || message.heard.some((id) => silent.has(id));
}
