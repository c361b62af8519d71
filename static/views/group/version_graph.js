// The versions that there are for a group, and the packages that lead from one to another.

/** Where packages begin that ask for no version. */
const ANY = "any";

/**
 * `{nodes, edges}` for `steps` (see `stepOf`), the version `target` (or `null`), the `paths` that devices take (lists of packages' ids),
 * how many devices run which version (a map), and whether there are devices at all. A node has `id`, `version` (`null`: any), `devices`,
 * `isTarget` and `isUseful` (it is on a way from devices to the target); an edge `from`, `to`, its `steps`, and its `role`: `taken` by
 * devices, `possible`, or `useless`.
 */
export function versionGraph({ steps, target, paths, devices, hasDevices }) {
    const nodes = new Map();
    const nodeOf = (version) => {
        const id = version === null ? ANY : `=${version}`;
        if (!nodes.has(id)) {
            nodes.set(id, { id, version, devices: devices.get(version) ?? 0, isTarget: version !== null && version === target });
        }
        return id;
    };
    const taken = new Set(paths.flat());
    const edges = new Map();
    for (const step of steps) {
        const [from, to] = [nodeOf(step.from), nodeOf(step.version)];
        const id = `${from} ${to}`;
        const edge = edges.get(id) ?? { id, from, to, steps: [] };
        edges.set(id, { ...edge, steps: [...edge.steps, step] });
    }
    devices.forEach((count, version) => count > 0 && nodeOf(version));
    if (target !== null) {
        nodeOf(target);
    }
    const all = [...edges.values()];
    const usable = all.filter(({ from, to, steps }) => from !== to && steps.some((step) => !step.isImpossible && step.state === "whole"));
    const starts = [...nodes.values()].filter((node) => node.devices > 0 || (node.version === null && hasDevices));
    const reached = spread(starts.map(({ id }) => id), usable);
    const leading = spread([`=${target}`], usable.map(({ from, to }) => ({ from: to, to: from })));
    const role = (edge) => {
        if (edge.steps.some(({ id }) => taken.has(id))) {
            return "taken";
        }
        return usable.includes(edge) && reached.has(edge.from) && leading.has(edge.to) ? "possible" : "useless";
    };
    const drawn = all.map((edge) => ({ ...edge, role: role(edge) }));
    const isUsed = ({ id }) => drawn.some(({ from, to, role }) => role !== "useless" && (from === id || to === id));
    const isUseful = (node) => node.devices > 0 || node.isTarget || isUsed(node);
    return { nodes: [...nodes.values()].map((node) => ({ ...node, isUseful: isUseful(node) })), edges: drawn };
}

/** All nodes that edges lead to from some. */
function spread(starts, edges) {
    const reached = new Set(starts);
    const next = [...starts];
    while (next.length > 0) {
        const here = next.pop();
        for (const { from, to } of edges) {
            if (from === here && !reached.has(to)) {
                reached.add(to);
                next.push(to);
            }
        }
    }
    return reached;
}
