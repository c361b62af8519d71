// Which messages of the stream may say something new about a device.

import { isOf } from "../../data.js";

/** Whether what the server knows of this device may have changed, apart from when it was heard. */
export function mayConcern(message, id) {
    if (message.type === "devices") {
        return message.many || message.changed.includes(id);
    }
    if (isOf(message, "attempt", "device")) {
        return message.data.device === id || (message.data.devices ?? []).includes(id);
    }
    // What its group wants and what packages there are decides what it is offered; who waits may claim to be it.
    return isOf(message, "group", "package", "registration");
}

/** The same, and whether it was heard: how far it is with something may have changed then, too. */
export function mayMove(message, id) {
    return mayConcern(message, id) || (message.type === "devices" && message.heard.includes(id));
}
