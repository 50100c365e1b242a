// One session of the npm package `webdav` against a running bridge.
//
// Standard input is one JSON object: url, username, password, folder (an empty folder below url)
// and names (file names to carry). The process exits with 0 when everything held.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import { AuthType, createClient } from "webdav";

const { url, username, password, folder, names } = JSON.parse(await text(process.stdin));
const client = createClient(url, { authType: AuthType.Password, username, password });
const at = (name) => `/${folder}/${name}`;

async function refused(status, promise) {
  await assert.rejects(promise, (error) => error.status === status);
}

async function writesAndReads() {
  const data = randomBytes(300_000);
  await client.createDirectory(at("deep/er"), { recursive: true });
  assert.equal(await client.putFileContents(at("deep/er/file"), data), true);
  assert.deepEqual(await client.getFileContents(at("deep/er/file")), data);
  const fresh = { overwrite: false };
  assert.equal(await client.putFileContents(at("deep/er/file"), "other", fresh), false);
  assert.deepEqual(await client.getFileContents(at("deep/er/file")), data);
  await client.putFileContents(at("deep/er/file"), "text é", { overwrite: true });
  assert.equal(await client.getFileContents(at("deep/er/file"), { format: "text" }), "text é");
}

async function streams() {
  const blocks = Array.from({ length: 24 }, () => randomBytes(1 << 20));
  const whole = Buffer.concat(blocks);
  await pipeline(Readable.from(blocks), client.createWriteStream(at("stream")));
  const settled = async () => (await client.exists(at("stream")))
    && (await client.stat(at("stream"))).size === whole.length;
  for (let tries = 0; !(await settled()); tries += 1) {
    assert.ok(tries < 600, "the stream did not arrive");
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  const digest = createHash("sha256");
  for await (const block of client.createReadStream(at("stream"))) digest.update(block);
  assert.equal(digest.digest("hex"), createHash("sha256").update(whole).digest("hex"));
  const part = [];
  const range = { start: 65_000, end: 1_200_000 };
  for await (const block of client.createReadStream(at("stream"), { range })) part.push(block);
  assert.deepEqual(Buffer.concat(part), whole.subarray(range.start, range.end + 1));
}

async function keepsNames() {
  await client.createDirectory(at("names"));
  await client.createDirectory(at("moved"));
  for (const name of names) {
    await client.putFileContents(at(`names/${name}`), `content of ${name}`);
    await client.copyFile(at(`names/${name}`), at(`moved/${name}`));
    await client.moveFile(at(`names/${name}`), at(`moved/${name}`));
    const copy = await client.getFileContents(at(`moved/${name}`), { format: "text" });
    assert.equal(copy, `content of ${name}`);
  }
  assert.deepEqual(await client.getDirectoryContents(at("names")), []);
  const listed = (await client.getDirectoryContents(at("moved"))).map((item) => item.basename);
  assert.deepEqual(listed.sort(), [...names].sort());
}

async function movesAndDeletes() {
  await client.createDirectory(at("one"));
  await client.putFileContents(at("one/file"), "x");
  await client.moveFile(at("one"), at("two"));
  assert.equal(await client.exists(at("one/file")), false);
  assert.equal((await client.stat(at("two"))).type, "directory");
  await client.deleteFile(at("two"));
  await refused(404, client.stat(at("two/file")));
  await refused(404, client.deleteFile(at("two")));
  await refused(409, client.createDirectory(at("no/such/parent")));
}

async function locks() {
  await client.putFileContents(at("locked"), "old");
  const lock = await client.lock(at("locked"), { timeout: "Second-60" });
  await refused(423, client.putFileContents(at("locked"), "intruder"));
  // RFC 4918, section 10.5: the token stands in angle brackets, which this package does not add.
  await client.unlock(at("locked"), `<${lock.token}>`);
  await client.putFileContents(at("locked"), "new");
  assert.equal(await client.getFileContents(at("locked"), { format: "text" }), "new");
}

async function announces() {
  const quota = await client.getQuota();
  assert.ok(quota === null || quota.used >= 0);
  const { compliance } = await client.getDAVCompliance(at("locked"));
  assert.ok(compliance.includes("1") && compliance.includes("2"));
}

for (const step of [writesAndReads, streams, keepsNames, movesAndDeletes, locks, announces]) {
  await step();
  console.log(step.name);
}
