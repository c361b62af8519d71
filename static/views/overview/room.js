// Whether there is room for packages.

/** Uploads are refused when the reserve is reached; below twice of that, or a tenth of the disk, it is time to make room. */
const LOW_SHARE = 0.1;

/** Whether it is time to make room, as the `storage` of the status says. */
export function isLow({ free, total, reserve }) {
    return free !== null && total !== null && (free < 2 * reserve || free < LOW_SHARE * total);
}
