// Where the nodes and edges of a directed graph are drawn: in layers from left to right, after Sugiyama. Nothing here knows what
// they stand for. Edges that close a cycle go back, from right to left.

const SWEEPS = 8;

/**
 * `{width, height, nodes, edges}` for `nodes` (with `id`) and `edges` (with `from` and `to`, ids of two different nodes): each node gets
 * the `x` and `y` of its left upper corner, each edge the `points` that it goes through and whether it goes `back`. `size` has the
 * node's `width` and `height`, `column` and `row` (the room between them), and `lane` (the height that an edge takes that passes by).
 */
export function layOut(nodes, edges, size) {
    const forward = withoutCycles(nodes, edges);
    const layerOf = layersOf(nodes, forward);
    const layers = [];
    const put = (item, layer) => (layers[layer] ??= []).push(item);
    nodes.forEach((node) => put({ id: node.id, before: [], after: [], height: size.height }, layerOf.get(node.id)));
    const items = new Map(layers.flat().map((item) => [item.id, item]));
    const chains = forward.map(({ from, to, edge, isBack }) => {
        const chain = [items.get(from)];
        for (let layer = layerOf.get(from) + 1; layer < layerOf.get(to); layer += 1) {
            chain.push({ before: [], after: [], height: size.lane });
            put(chain.at(-1), layer);
        }
        chain.push(items.get(to));
        chain.slice(1).forEach((item, position) => join(chain[position], item));
        return { chain, edge, isBack };
    });
    order(layers);
    const height = stack(layers, size);
    const x = (layer) => layer * (size.width + size.column);
    layers.forEach((layer, position) => layer.forEach((item) => (item.x = x(position))));
    return {
        width: Math.max(0, x(layers.length) - size.column),
        height,
        nodes: nodes.map((node) => ({ ...node, x: items.get(node.id).x, y: items.get(node.id).y })),
        edges: chains.map(({ chain, edge, isBack }) => ({ ...edge, isBack, points: pointsOf(chain, isBack, size) })),
    };
}

/** Where along its way a label is tried, in this order. */
const LABEL_PLACES = [0.5, 0.3, 0.7, 0.15, 0.85];

/**
 * A point for the label of each edge, on its way through the room between two columns, and not upon others if there is room. Labels are
 * `height` high, and `widthOf` says how wide.
 */
export function placeLabels(edges, { widthOf, height }) {
    const placed = [];
    return edges.map((edge) => {
        const { points } = edge;
        const width = widthOf(edge);
        const isApart = ({ x, y }, other) => Math.abs(other.x - x) >= (width + other.width) / 2 || Math.abs(other.y - y) >= height;
        const isFree = (point) => placed.every((other) => isApart(point, other));
        // From node to lane, through lanes, and from lane to node: each second stretch is between columns.
        const gaps = points.slice(1).map((point, position) => [points[position], point]).filter((_, position) => position % 2 === 0);
        const middle = Math.floor((gaps.length - 1) / 2);
        const ordered = [gaps[middle], ...gaps.filter((_, position) => position !== middle)];
        const tried = ordered.flatMap(([from, to]) => LABEL_PLACES.map((part) => along(from, to, part)));
        const place = tried.find(isFree) ?? tried[0];
        placed.push({ ...place, width });
        return place;
    });
}

/** A point of a curve that leaves and comes level, with both its control points in the middle. */
function along(from, to, part) {
    const rest = 1 - part;
    const middle = (from.x + to.x) / 2;
    const inner = 3 * part * rest;
    const weigh = (first, second, third, last) => rest ** 3 * first + inner * (rest * second + part * third) + part ** 3 * last;
    return { x: weigh(from.x, middle, middle, to.x), y: weigh(from.y, from.y, to.y, to.y) };
}

function join(left, right) {
    left.after.push(right);
    right.before.push(left);
}

/** The edges, those that close a cycle turned round. */
function withoutCycles(nodes, edges) {
    const outgoing = new Map(nodes.map(({ id }) => [id, edges.filter((edge) => edge.from === id)]));
    const isEntered = new Set(edges.map(({ to }) => to));
    const state = new Map();
    const back = new Set();
    const visit = (id) => {
        state.set(id, "open");
        for (const edge of outgoing.get(id)) {
            if (state.get(edge.to) === "open") {
                back.add(edge);
            } else if (!state.has(edge.to)) {
                visit(edge.to);
            }
        }
        state.set(id, "done");
    };
    // Where nothing leads to is where ways begin.
    const ordered = [...nodes.filter(({ id }) => !isEntered.has(id)), ...nodes];
    ordered.forEach(({ id }) => state.has(id) || visit(id));
    return edges.map((edge) => {
        const isBack = back.has(edge);
        return { edge, isBack, from: isBack ? edge.to : edge.from, to: isBack ? edge.from : edge.to };
    });
}

/** The layer of each node: after all from which edges lead to it. */
function layersOf(nodes, forward) {
    const layers = new Map();
    const layer = (id) => {
        if (!layers.has(id)) {
            const before = forward.filter(({ to }) => to === id).map(({ from }) => layer(from) + 1);
            layers.set(id, Math.max(0, ...before));
        }
        return layers.get(id);
    };
    nodes.forEach(({ id }) => layer(id));
    // What begins a way stands beside where it goes on, and does not make for a long line.
    for (const { id } of nodes) {
        const after = forward.filter(({ from }) => from === id).map(({ to }) => layers.get(to) - 1);
        if (after.length > 0 && !forward.some(({ to }) => to === id)) {
            layers.set(id, Math.min(...after));
        }
    }
    return layers;
}

/** Orders each layer so that fewer edges cross: each item where its neighbours are on average, to and fro. */
function order(layers) {
    const number = (layer) => layer.forEach((item, position) => (item.position = position));
    layers.forEach(number);
    for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
        const isForth = sweep % 2 === 0;
        for (const layer of isForth ? layers : layers.toReversed()) {
            const mean = (item) => {
                const neighbours = isForth ? item.before : item.after;
                const sum = neighbours.reduce((total, { position }) => total + position, 0);
                return neighbours.length === 0 ? item.position : sum / neighbours.length;
            };
            const means = new Map(layer.map((item) => [item, mean(item)]));
            layer.sort((a, b) => means.get(a) - means.get(b));
            number(layer);
        }
    }
}

/** Puts the items of each layer below one another, in its middle; returns how high all is. */
function stack(layers, { row }) {
    const heightOf = (layer) => layer.reduce((total, { height }) => total + height + row, -row);
    const height = Math.max(0, ...layers.map(heightOf));
    for (const layer of layers) {
        let y = (height - heightOf(layer)) / 2;
        for (const item of layer) {
            item.y = y;
            y += item.height + row;
        }
    }
    return height;
}

/** From the side of one node to that of another; edges that go back run a little lower, so that they are seen beside others. */
function pointsOf(chain, isBack, { width, height }) {
    const shift = isBack ? height / 5 : -height / 5;
    const middle = (item) => item.y + item.height / 2;
    const points = chain.flatMap((item, position) => {
        const y = middle(item) + (item.id === undefined ? 0 : shift);
        const [left, right] = [{ x: item.x, y }, { x: item.x + width, y }];
        return position === 0 ? [right] : position === chain.length - 1 ? [left] : [left, right];
    });
    return isBack ? points.toReversed() : points;
}
