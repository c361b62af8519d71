// Authentication is switched off: there is nobody to be.

import { card, element, view } from "../elements.js";

export function openToAll({ notice }) {
    const warning = "Everybody who reaches this server may do everything. That is for trying things out, alone.";
    const way = "To have people log in, start the server without ";
    return view(
        "Authentication is off",
        notice,
        card(element("p", {}, warning), element("p", { className: "hint" }, way, element("code", {}, "--no-api-auth"), ".")),
    );
}
