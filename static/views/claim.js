// Claim: whoever has the code becomes the first administrator.

import * as api from "../api.js";
import { card, element, view } from "../elements.js";
import { form, nameField, newPasswordField } from "../forms.js";

export function claim({ code, notice, entered, left }) {
    const claiming = form({
        fields: [nameField("Letters, digits and . _ - @ +"), newPasswordField("password", "Password")],
        label: "Claim this server",
        busyLabel: "Claiming…",
        send: async ({ name, password }) => {
            try {
                entered(await api.claim(code, name, password));
            } catch (error) {
                // Too late: the code will be good for nothing again, so the form has no purpose any more.
                if (error.status !== 410) {
                    throw error;
                }
                left(error.message);
            }
        },
    });
    const lead = "Nobody has set this server up yet. Choose a name and a password: you will be its first administrator.";
    return view("Claim this server", notice, card(element("p", {}, lead), claiming.node));
}
