// netron's own parser on one model, without a browser: node netron_worker.mjs NETRON_FOLDER MODEL
// Prints one JSON object: how many nodes the graph has, which functions, and which tensors are named.
import * as fs from 'fs';
import * as path from 'path';
import { pathToFileURL } from 'url';

const [folder, model] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(path.join(folder, name)));
const protobuf = await load('protobuf.js');
const { onnx } = await load('onnx-proto.js');
const reader = protobuf.BinaryReader.open(new Uint8Array(fs.readFileSync(model)));
const decoded = onnx.ModelProto.decode(reader);
const list = (items) => items || [];
console.log(JSON.stringify({
    nodes: list(decoded.graph.node).length,
    functions: list(decoded.functions).map((f) => f.name),
    initializers: list(decoded.graph.initializer).map((t) => t.name),
    metadata: list(decoded.metadata_props).map((p) => p.key),
}));
