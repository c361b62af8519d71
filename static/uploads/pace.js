// How fast an upload goes, and how large its pieces should be.

const MEBIBYTE = 1024 * 1024;
/** The smallest piece: what is lost when a poor connection breaks is no more. It also is what proxies take by default. */
const MIN_PIECE_BYTES = MEBIBYTE;
const MAX_PIECE_BYTES = 16 * MEBIBYTE;
const FIRST_PIECE_BYTES = 4 * MEBIBYTE;
/** A piece should take about so long: waiting for the server after each is little beside it, and so is what a break costs. */
const PIECE_SECONDS = 2;
const SMOOTHED_OVER_SECONDS = 4;
const SHORTEST_SAMPLE_SECONDS = 0.2;

/** The size of pieces, by how the ones before went. */
export class PieceSize {
    bytes = FIRST_PIECE_BYTES;

    /** A piece of so many bytes took so long. */
    arrived(bytes, seconds) {
        const factor = Math.min(2, Math.max(0.5, PIECE_SECONDS / seconds));
        const fitting = Math.round((bytes * factor) / MEBIBYTE) * MEBIBYTE;
        // The last piece is short, and says little.
        if (bytes === this.bytes) {
            this.bytes = Math.min(MAX_PIECE_BYTES, Math.max(MIN_PIECE_BYTES, fitting));
        }
    }

    broke() {
        this.bytes = Math.max(MIN_PIECE_BYTES, Math.floor(this.bytes / 2 / MEBIBYTE) * MEBIBYTE);
    }

    /** Something on the way does not take pieces of this size; whether smaller ones are left to be tried. */
    wasTooLarge() {
        const isLeft = this.bytes > MIN_PIECE_BYTES;
        this.bytes = MIN_PIECE_BYTES;
        return isLeft;
    }
}

/** Bytes in a second, smoothed: a number that people can read. */
export class Speed {
    constructor(bytes, seconds) {
        Object.assign(this, { bytes, seconds });
    }

    /** So many bytes are sent at this moment; the speed, or `null` if it is not known yet. */
    at(bytes, seconds) {
        const took = seconds - this.seconds;
        if (took < SHORTEST_SAMPLE_SECONDS) {
            return this.perSecond ?? null;
        }
        const sample = Math.max(0, bytes - this.bytes) / took;
        const weight = 1 - Math.exp(-took / SMOOTHED_OVER_SECONDS);
        this.perSecond = this.perSecond === undefined ? sample : this.perSecond + weight * (sample - this.perSecond);
        Object.assign(this, { bytes, seconds });
        return this.perSecond;
    }
}
