// Carrying a file to the server: piece by piece, and again from where it stopped when the connection breaks.

import { Unreachable } from "../api.js";
import * as connection from "../connection.js";
import { asSentence } from "../text.js";
import { PieceSize, Speed } from "./pace.js";
import * as tus from "./tus.js";

const SHOW_EVERY_SECONDS = 0.25;
const FIRST_REST_MS = 1_000;
const LONGEST_REST_MS = 15_000;
/** Two that send the same upload interrupt each other: one of them has to give in. */
const MOST_CONFLICTS = 4;
const CONFLICT = 409;
const TOO_LARGE = 413;
const DAMAGED = 460;
const NO_ROOM = 507;

/**
 * Sends what is missing of an upload. `show` gets what changes of it (see `queue.uploads`), and `begun` its id; `signal` ends it.
 * Throws what the server refuses for good; everything else is tried again.
 */
export async function carry({ id, file, sent }, { show, begun }, signal) {
    const transfer = new Transfer(file, show, signal);
    Object.assign(transfer, { id, sent });
    let failures = 0;
    for (;;) {
        const before = transfer.sent;
        try {
            if (transfer.id === null) {
                transfer.id = await tus.begin(file, signal);
                begun(transfer.id);
            } else {
                transfer.found((await tus.standing(transfer.id, signal)).offset);
            }
            show({ state: "sending", complaint: null });
            await transfer.sendRest();
            return;
        } catch (error) {
            signal.throwIfAborted();
            failures = transfer.sent > before ? 1 : failures + 1;
            if (!transfer.mayGoOn(error, failures)) {
                throw error;
            }
            const isBroken = error instanceof Unreachable;
            if (isBroken) {
                connection.lost();
            }
            show({ state: "retrying", speed: null, sent: transfer.sent, complaint: isBroken ? null : asSentence(error.message) });
            await rest(Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** (failures - 1)), signal);
        }
    }
}

class Transfer {
    size = new PieceSize();

    constructor(file, show, signal) {
        Object.assign(this, { file, show, signal });
    }

    /** The server has so much. */
    found(offset) {
        this.sent = offset;
        this.show({ sent: offset });
    }

    async sendRest() {
        this.kind ??= { checksum: await tus.checksumKind() };
        this.speed = new Speed(this.sent, seconds());
        this.shownAt = seconds();
        let next = this.prepare(this.sent);
        while (this.sent < this.file.size) {
            const piece = await next;
            const end = this.sent + piece.part.size;
            // The next one is read and summed up while this one is on its way.
            next = end < this.file.size ? this.prepare(end) : null;
            // Whether it can be read is asked when it is its turn.
            next?.catch(() => {});
            await this.sendPiece(piece);
            if (this.sent !== end && this.sent < this.file.size) {
                next = this.prepare(this.sent);
            }
        }
    }

    async prepare(offset) {
        // The browser sends a part of a file without this page having it; what it reads itself would keep it busy.
        const part = this.file.slice(offset, offset + this.size.bytes);
        try {
            await part.slice(0, 1).arrayBuffer();
            return { part, headers: this.kind.checksum === null ? {} : await tus.checksum(await part.arrayBuffer(), this.kind.checksum) };
        } catch (error) {
            throw new Error("the file cannot be read any more: it was moved or changed; cancel this upload and choose it again", { cause: error });
        }
    }

    async sendPiece({ part, headers }) {
        const { id, sent, signal } = this;
        const began = seconds();
        const onProgress = (loaded) => this.progressed(sent + loaded);
        this.sent = await tus.send(id, sent, part, headers, onProgress, signal);
        this.size.arrived(part.size, seconds() - began);
        this.progressed(this.sent);
    }

    progressed(sent) {
        const now = seconds();
        if (now - this.shownAt >= SHOW_EVERY_SECONDS) {
            this.shownAt = now;
            this.show({ sent, speed: this.speed.at(sent, now) });
        }
    }

    /** Whether it can go well another time. */
    mayGoOn(error, failures) {
        const { status, isExplained } = error;
        if (status === TOO_LARGE && !isExplained) {
            return this.size.wasTooLarge();
        }
        this.size.broke();
        return error instanceof Unreachable || status === DAMAGED || (status === CONFLICT && failures < MOST_CONFLICTS) || (status >= 500 && status !== NO_ROOM);
    }
}

function seconds() {
    return performance.now() / 1000;
}

/** Waits, or until the machine is on a network again. */
function rest(milliseconds, signal) {
    return new Promise((resolve) => {
        const end = () => {
            clearTimeout(timer);
            removeEventListener("online", end);
            signal.removeEventListener("abort", end);
            resolve();
        };
        const timer = setTimeout(end, milliseconds);
        addEventListener("online", end);
        signal.addEventListener("abort", end);
    }).then(() => signal.throwIfAborted());
}
