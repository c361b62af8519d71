// What tells a registration from others: who asks, and with which key.

/** One text for both; also of the data of events. */
export function keyOf({ mac_address, key_fingerprint }) {
    return `${mac_address} ${key_fingerprint}`;
}

/** Registrations as the API names them. */
export function named(some) {
    return some.map(({ mac_address, key_fingerprint }) => ({ mac_address, key_fingerprint }));
}
