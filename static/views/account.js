// Account: who is logged in, their password, and the way out.

import * as api from "../api.js";
import { card, element, view } from "../elements.js";
import { form, knownName, newPasswordField, outcomeLines, passwordField, perform } from "../forms.js";

const ROLES = {
    admin: "Administrator: may see and change everything.",
    viewer: "Viewer: may see everything, and change nothing but the own password.",
};

export function account(context) {
    return view("Account", context.notice, whoCard(context), passwordCard(context));
}

function whoCard({ user, left, isOver }) {
    const outcome = outcomeLines();
    const way = (label, busyLabel, leave, goodbye) => {
        const action = async () => {
            await leave();
            left(goodbye);
        };
        const click = () => perform({ button, busyLabel, outcome, isOver, action });
        const button = element("button", { type: "button", click }, label);
        return button;
    };
    return card(
        element("h2", {}, "Logged in as ", element("strong", {}, user.name)),
        element("p", {}, ROLES[user.role] ?? `Role: ${user.role}`),
        element(
            "div",
            { className: "actions" },
            way("Log out", "Logging out…", api.logOut, "You are logged out."),
            way("Log out everywhere", "Logging out…", api.logOutEverywhere, "You are logged out in every browser."),
        ),
        outcome.node,
    );
}

function passwordCard({ user, entered, isOver }) {
    const changing = form({
        fields: [passwordField("current", "Current password"), newPasswordField("new", "New password")],
        more: [knownName(user.name)],
        label: "Change password",
        busyLabel: "Changing…",
        isOver,
        send: async ({ current, new: fresh }) => {
            entered(await api.changePassword(current, fresh));
            changing.clear();
            return "The password is changed. Your sessions in other browsers have ended.";
        },
    });
    return card(element("h2", {}, "Change password"), changing.node);
}
