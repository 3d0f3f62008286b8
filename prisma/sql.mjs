// node prisma/sql.mjs [OLD.prisma]: the SQL that makes the database of schema.prisma, from nothing or from OLD.prisma.
// It reads two text files and needs no database: the engine asks its adapter for the server's version, and gets one.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const here = path.dirname(new URL(import.meta.url).pathname);
const root = path.dirname(createRequire(import.meta.url).resolve("@prisma/schema-engine-wasm/schema_engine_bg"));
const engine = await import(path.join(root, "schema_engine_bg.js"));
const bytes = fs.readFileSync(path.join(root, "schema_engine_bg.wasm"));
const { instance } = await WebAssembly.instantiate(bytes, { "./schema_engine_bg.js": engine });
engine.__wbg_set_wasm(instance.exports);
instance.exports.__wbindgen_start();

const ok = (value) => ({ ok: true, value, map: (f) => ok(f(value)), flatMap: (f) => f(value) });
const version = {
  columnNames: ["exists", "version", "numeric_version"],
  columnTypes: [5, 7, 0], // boolean, text, int32
  rows: [[true, "PostgreSQL 18.0", 180000]],
};
const named = { provider: "postgres", adapterName: "none" };
const connection = {
  ...named,
  queryRaw: async () => ok(version),
  executeRaw: async () => ok(0),
  executeScript: async () => ok(undefined),
  startTransaction: async () => ok(connection),
  getConnectionInfo: () => ok({ schemaName: "public", supportsRelationJoins: true }),
  dispose: async () => ok(undefined),
};
const adapter = {
  ...named,
  connect: async () => ok(connection),
  connectToShadowDb: async () => ok(connection),
  errorRegistry: { consumeError: () => undefined },
};

const read = (file) => ({ path: path.basename(file), content: fs.readFileSync(file, "utf8") });
const schema = read(path.join(here, "schema.prisma"));
const old = process.argv[2] && read(process.argv[2]);
const schemaEngine = await engine.SchemaEngine.new({ datamodels: [[schema.path, schema.content]] }, () => {}, adapter);
const { stdout } = await schemaEngine.diff({
  from: old ? { tag: "schemaDatamodel", files: [old] } : { tag: "empty" },
  to: { tag: "schemaDatamodel", files: [schema] },
  script: true,
  exitCode: null,
  filters: { externalTables: [], externalEnums: [] },
  shadowDatabaseUrl: null,
});
process.stdout.write(stdout.trimEnd() + "\n");
