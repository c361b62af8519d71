// The server waits for its first administrator, and this browser does not have the code, or has it too late.

import { card, element, view } from "../elements.js";

export function unclaimed({ setup, notice }) {
    const title = "This server is not set up yet";
    if (setup === "expired") {
        const ended = "The address that the server printed at its start was good for half an hour, and that is over.";
        return view(title, notice, card(element("p", {}, ended), element("p", {}, "Restart the server: it prints a new one.")));
    }
    const where = "When the server started, it printed an address that ends in";
    const restart = "That address is good for half an hour. If it is lost or too old, restart the server: it prints a new one.";
    return view(
        title,
        notice,
        card(
            element("p", {}, `${where} `, element("code", {}, "/#claim=…"), ", in its terminal or the journal of its service."),
            element("p", {}, "Open that address to choose a name and a password, and become the first administrator."),
            element("p", { className: "hint" }, restart),
        ),
    );
}
