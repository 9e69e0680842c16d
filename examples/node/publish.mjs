// Publish a version from Node, and verify events. Everything but Kafka needs Node's own modules only:
//
//   node examples/node/publish.mjs publish MODEL FILE METADATA.json
//   node examples/node/publish.mjs vectors schemas/vectors
//
// With REGISTA_KAFKA_BOOTSTRAP the event goes to Kafka (npm install kafkajs), else the version is registered
// over HTTP. The rules are in docs/from-any-language.md.

import { createHash, createPrivateKey, createPublicKey, randomUUID, sign as ed25519, verify as ed25519Verifies } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";

const PAYLOAD_TYPE = "https://cloudevents.io/verifiability/dsse/v0.1";
const CORE = ["id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time"];
const env = (name) => process.env[`REGISTA_${name}`] ?? "";
const json = (path) => JSON.parse(readFileSync(path, "utf8"));

// ---- Keys: {"key_id", "subject", "seed"}; the seed is 32 bytes in Base64, and DER needs a fixed head.

function readKey(file) {
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.from(file.seed, "base64")]);
  return { id: file.key_id, subject: file.subject, secret: createPrivateKey({ key: der, format: "der", type: "pkcs8" }) };
}

function publicKey(hex) {
  return createPublicKey({ key: Buffer.from("302a300506032b6570032100" + hex, "hex"), format: "der", type: "spki" });
}

// ---- Digests.

const sha256 = (bytes) => createHash("sha256").update(bytes).digest();

function byCodePoints(a, b) {
  return Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)); // UTF-8 sorts like code points
}

/** The text that is hashed: RFC 8785, files sorted by the code points of their paths. */
function manifest(files) {
  const sorted = [...files].sort(byCodePoints);
  return JSON.stringify({ files: sorted.map((f) => ({ path: f.path, sha256: f.sha256, size: f.size })) });
}

const artifactDigest = (files) => "sha256:" + sha256(manifest(files)).toString("hex");

// ---- Signatures.

/** The 32 signed bytes. An attribute that is not set is "". */
function material(attributes, data, extensions) {
  const parts = CORE.map((name) => sha256(attributes[name] ?? ""));
  parts.push(sha256(data));
  for (const name of extensions) parts.push(sha256(name), sha256(attributes[name]));
  return sha256(Buffer.concat(parts));
}

function preAuthentication(body) {
  return Buffer.concat([Buffer.from(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${body.length} `), body]);
}

/** Returns the attributes with dssematerial and signedextattrs. Every extension attribute is signed. */
function signed(attributes, data, key) {
  const extensions = Object.keys(attributes).filter((name) => !CORE.includes(name)).sort();
  const payload = material(attributes, data, extensions);
  const envelope = {
    payload: payload.toString("base64"),
    payloadType: PAYLOAD_TYPE,
    signatures: [{ keyid: key.id, sig: ed25519(null, preAuthentication(payload), key.secret).toString("base64") }],
  };
  const dssematerial = Buffer.from(JSON.stringify(envelope)).toString("base64");
  return { ...attributes, ...(extensions.length ? { signedextattrs: extensions.join(",") } : {}), dssematerial };
}

/** Returns why the event of a record is not what the key signed, or "". */
function problemOf(headers, data, recordKey, key) {
  const attributes = {};
  for (const [name, value] of Object.entries(headers)) if (name.startsWith("ce_")) attributes[name.slice(3)] = value;
  const type = headers["content-type"];
  if (type !== undefined && type !== (attributes.datacontenttype ?? type)) return "content-type and ce_datacontenttype differ";
  if (type !== undefined) attributes.datacontenttype = type;
  const names = attributes.signedextattrs ? attributes.signedextattrs.split(",") : [];
  if (names.includes("partitionkey")) attributes.partitionkey ??= recordKey;
  const known = new Set([...CORE, ...names, "dssematerial", "signedextattrs"]);
  const unsigned = Object.keys(attributes).filter((name) => !known.has(name));
  if (unsigned.length) return `extension attributes are not signed: ${unsigned}`;
  if (names.some((name) => attributes[name] === undefined)) return "signed extension attributes are missing";
  const envelope = JSON.parse(Buffer.from(attributes.dssematerial, "base64"));
  const payload = Buffer.from(envelope.payload, "base64");
  const signature = Buffer.from(envelope.signatures[0].sig, "base64");
  if (!ed25519Verifies(null, preAuthentication(payload), key, signature)) return "the signature does not verify with the key";
  if (material(attributes, data, names).equals(payload)) return "";
  return material({ ...attributes, time: inUtc(attributes.time) }, data, names).equals(payload) ? "" : "the event was altered";
}

/** The form of the extension: UTC with Z, no zeros at the end of the fraction. */
function inUtc(time) {
  const [, second, fraction = "", zone] = /^(.{19})(?:\.(\d+))?(.+)$/.exec(time.toUpperCase());
  const utc = new Date(second + zone).toISOString().slice(0, 19);
  const kept = fraction.replace(/0+$/, "");
  return `${utc}${kept ? "." + kept : ""}Z`;
}

// ---- Publishing: upload over HTTP, then the signed event to Kafka or the registration over HTTP.

async function call(url, { headers = {}, ...options } = {}) {
  const answer = await fetch(url, { ...options, headers: { Authorization: `Bearer ${env("API_KEY")}`, ...headers } });
  if (answer.status === 404) return null;
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status} ${text}`);
  return JSON.parse(text);
}

async function publish(model, file, metadata) {
  const urls = await call(`${env("URL")}/.well-known/regista`);
  const bytes = readFileSync(file);
  const name = basename(file);
  const uploaded = await call(`${(urls.services ?? urls).artifact}/v1/uploads?name=${encodeURIComponent(name)}`, {
    method: "POST",
    body: bytes,
    headers: { "Content-Type": "application/octet-stream", "Idempotency-Key": randomUUID() },
  });
  const files = [{ path: name, size: bytes.length, sha256: sha256(bytes).toString("hex") }];
  if (uploaded.sha256 !== files[0].sha256) throw new Error("other bytes arrived");
  const artifact = { digest: artifactDigest(files), files, location: uploaded.location };
  const data = { ...json(metadata), model, artifact };
  return env("KAFKA_BOOTSTRAP") ? publishToKafka(model, data) : register(model, data);
}

function register(model, data) {
  return call(`${env("URL")}/v1/models/${encodeURIComponent(model)}/versions`, {
    method: "POST",
    body: JSON.stringify(data),
    headers: { "Content-Type": "application/json", "Idempotency-Key": randomUUID() },
  });
}

async function publishToKafka(model, data) {
  const { Kafka } = await import("kafkajs");
  const key = readKey(json(env("KEY_FILE")));
  const value = Buffer.from(JSON.stringify(data));
  const attributes = {
    id: randomUUID(),
    source: `/publishers/${key.subject}`,
    specversion: "1.0",
    type: "regista.ModelTrained.v1",
    datacontenttype: "application/json",
    subject: model,
    time: new Date().toISOString(),
    partitionkey: model,
  };
  const { datacontenttype, ...rest } = signed(attributes, value, key);
  const headers = { "content-type": datacontenttype };
  for (const [name, text] of Object.entries(rest)) headers[`ce_${name}`] = text;
  const kafka = new Kafka({
    brokers: [env("KAFKA_BOOTSTRAP")],
    ssl: env("KAFKA_SECURITY") === "SASL_SSL",
    sasl: { mechanism: "scram-sha-512", username: env("KAFKA_USER"), password: env("KAFKA_PASSWORD") },
  });
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic: "regista.training.v1", acks: -1, messages: [{ key: model, value, headers }] });
  await producer.disconnect();
  const query = `publisher=${encodeURIComponent(key.subject)}`;
  for (let n = 0; n < 240; n++) {
    const outcome = await call(`${env("URL")}/v1/publications/${attributes.id}?${query}`);
    if (outcome !== null) return outcome;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error("no outcome yet");
}

// ---- The test vectors: prints what differs, then how many cases hold.

function vectors(folder) {
  let held = 0;
  const holds = (name, found, wanted) => {
    if (found === wanted) held += 1;
    else console.log(`WRONG ${name}: ${found} instead of ${wanted}`);
  };
  const keys = json(join(folder, "keys.json"));
  const made = ed25519(null, preAuthentication(Buffer.from(keys.signed.body)), readKey(keys.file).secret);
  holds("keys", made.toString("base64"), keys.signed.signature);
  for (const one of json(join(folder, "artifacts.json")).cases) {
    holds(one.name, manifest(one.files), one.hashed);
    holds(one.name, artifactDigest(one.files), one.digest);
  }
  const events = json(join(folder, "events.json"));
  for (const one of events.cases) {
    const problem = problemOf(one.headers, Buffer.from(one.value), one.key, publicKey(events.public_key));
    holds(`${one.name}: ${problem}`, problem === "", one.problem === "");
  }
  console.log(`${held} vectors hold`);
}

const [command, ...words] = process.argv.slice(2);
if (command === "vectors") vectors(words[0]);
else if (command === "publish") console.log(JSON.stringify(await publish(...words)));
else throw new Error("publish MODEL FILE METADATA.json, or vectors FOLDER");
