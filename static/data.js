// What views show of the server: fetched once, and again when something happened that concerns it.

import { Unreachable } from "./api.js";
import * as connection from "./connection.js";
import * as live from "./live.js";
import { isOver } from "./session.js";
import { asSentence } from "./text.js";
import { useEffect, useRef, useState } from "./ui.js";

// Of many events in a row the first is enough; what comes meanwhile is seen by the next fetch.
const SOON_MS = 100;
const REST_MS = 1_000;

/**
 * `{data, complaint, isOld, reload}`: what `fetch` returns for this `key`, fetched again when something happens that `concerns` it
 * (see `live.listen`). `data` is `undefined` until it is there; while another key is fetched it is still what was there before, and
 * `isOld`.
 */
export function useData(key, fetch, concerns) {
    const [state, setState] = useState({ key: null, data: undefined, complaint: null });
    const latest = useRef({});
    Object.assign(latest.current, { fetch, concerns });
    const [fetcher] = useState(() => new Fetcher((found) => setState((before) => ({ ...before, ...found }))));

    useEffect(() => {
        fetcher.begin(key, () => latest.current.fetch());
        return () => fetcher.end();
    }, [key]);
    useEffect(() => {
        const hear = (message) => {
            const isAnyway = message.type === "reload" || (message.type === "resumed" && fetcher.isMissing);
            if (isAnyway || latest.current.concerns(message)) {
                fetcher.soon();
            }
        };
        const isSeen = () => document.hidden || fetcher.catchUp();
        document.addEventListener("visibilitychange", isSeen);
        const deafen = live.listen(hear);
        return () => {
            document.removeEventListener("visibilitychange", isSeen);
            deafen();
        };
    }, []);
    return { ...state, isOld: state.key !== key, reload: () => fetcher.now() };
}

/** Whether a message is about one of these families of events, such as `attempt`. */
export function isOf(message, ...families) {
    return families.includes(message.type.split(".")[0]);
}

/** Fetches one thing at a time, and not too often. */
class Fetcher {
    constructor(show) {
        this.show = show;
        this.turn = 0;
        this.fetchedAt = -Infinity;
    }

    begin(key, fetch) {
        Object.assign(this, { key, fetch });
        return this.now();
    }

    end() {
        this.turn += 1;
        clearTimeout(this.timer);
        this.timer = undefined;
    }

    soon() {
        this.isDue = true;
        if (this.timer === undefined && !document.hidden) {
            const rest = this.fetchedAt + REST_MS - performance.now();
            this.timer = setTimeout(() => this.now(), Math.max(SOON_MS, rest));
        }
    }

    /** The window is looked at again. */
    catchUp() {
        if (this.isDue) {
            this.soon();
        }
    }

    async now() {
        this.end();
        const { key, turn } = this;
        this.isDue = false;
        this.fetchedAt = performance.now();
        let found;
        try {
            found = { key, data: await this.fetch(), complaint: null };
        } catch (error) {
            found = await failed(key, error);
        }
        if (turn === this.turn) {
            this.isMissing = found === null;
            if (found !== null) {
                this.show(found);
            }
        }
    }
}

/** What to show of a failure; `null` if that is shown elsewhere. */
async function failed(key, error) {
    if (error instanceof Unreachable) {
        // When the server is back, the stream says so, and this is fetched again.
        connection.lost();
        return null;
    }
    if (error.status === undefined) {
        console.error(error);
        return { key, data: undefined, complaint: "Something is wrong with this page: load it again." };
    }
    const hasEnded = error.status === 401 && (await isOver());
    return hasEnded ? null : { key, data: undefined, complaint: asSentence(error.message), status: error.status };
}
