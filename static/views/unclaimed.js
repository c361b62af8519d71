// The server waits for its first administrator, and this browser does not have the code.

import { card, element, view } from "../elements.js";

export function unclaimed({ notice }) {
    const where = "When the server started, it printed an address that ends in";
    const restart = "That address is good for half an hour. If it is lost or too old, restart the server: it prints a new one.";
    return view(
        "This server is not set up yet",
        notice,
        card(
            element("p", {}, `${where} `, element("code", {}, "/#claim=…"), ", in its terminal or the journal of its service."),
            element("p", {}, "Open that address to choose a name and a password, and become the first administrator."),
            element("p", { className: "hint" }, restart),
        ),
    );
}
