// Log in.

import * as api from "../api.js";
import { card, view } from "../elements.js";
import { form, nameField, passwordField } from "../forms.js";

export function logIn({ notice, entered }) {
    const loggingIn = form({
        fields: [nameField(), passwordField("password", "Password")],
        label: "Log in",
        busyLabel: "Logging in…",
        send: async ({ name, password }) => entered(await api.logIn(name, password)),
    });
    return view("Log in", notice, card(loggingIn.node));
}
