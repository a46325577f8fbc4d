// Asks a canister by the official agent, which verifies the signature of every reply, and tells what came as JSON.
const { Actor, HttpAgent } = require("@icp-sdk/core/agent");

const [, , host, ledgerId, tokenId, archiveId] = process.argv;

const ledger = ({ IDL }) => {
  const blob = IDL.Vec(IDL.Nat8);
  const value = IDL.Variant({ Nat: IDL.Nat, Int: IDL.Int, Text: IDL.Text, Blob: blob });
  const entry = IDL.Record({ label: IDL.Text, key: blob, value: blob });
  return IDL.Service({
    data_fetch: IDL.Func(
      [IDL.Opt(IDL.Text), IDL.Opt(blob)],
      [IDL.Variant({ Ok: IDL.Tuple(IDL.Text, blob), Err: IDL.Text })],
      ["query"],
    ),
    metadata: IDL.Func([], [IDL.Vec(IDL.Tuple(IDL.Text, value))], ["query"]),
    next_block_entries: IDL.Func(
      [IDL.Opt(IDL.Text), IDL.Opt(IDL.Nat32), IDL.Opt(IDL.Nat32)],
      [IDL.Record({ entries: IDL.Vec(entry), has_more: IDL.Bool, total_count: IDL.Nat32 })],
      ["query"],
    ),
    icrc3_get_blocks: IDL.Func([], [IDL.Nat], ["query"]),
  });
};

const token = ({ IDL }) => {
  const ranges = IDL.Vec(IDL.Record({ start: IDL.Nat, length: IDL.Nat }));
  const value = IDL.Rec();
  value.fill(
    IDL.Variant({
      Nat: IDL.Nat,
      Int: IDL.Int,
      Text: IDL.Text,
      Blob: IDL.Vec(IDL.Nat8),
      Array: IDL.Vec(value),
      Map: IDL.Vec(IDL.Tuple(IDL.Text, value)),
    }),
  );
  const result = IDL.Rec();
  result.fill(
    IDL.Record({
      log_length: IDL.Nat,
      blocks: IDL.Vec(IDL.Record({ id: IDL.Nat, block: value })),
      archived_blocks: IDL.Vec(
        IDL.Record({ args: ranges, callback: IDL.Func([ranges], [result], ["query"]) }),
      ),
    }),
  );
  return IDL.Service({ icrc3_get_blocks: IDL.Func([ranges], [result], ["query"]) });
};

const plain = (_, value) => {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  return value;
};

async function main() {
  const agent = await HttpAgent.create({ host, shouldFetchRootKey: true, verifyQuerySignatures: true });
  const canister = Actor.createActor(ledger, { agent, canisterId: ledgerId });
  const told = {
    fetched: await canister.data_fetch(["position=0"], []),
    refused: await canister.data_fetch(["position=99999999"], []),
    metadata: await canister.metadata(),
    pending: await canister.next_block_entries([], [], []),
  };
  told.rejected = await canister.icrc3_get_blocks().then(
    () => "answered",
    (error) => error.message,
  );
  const asked = [{ start: 0n, length: 5n }];
  told.token = await Actor.createActor(token, { agent, canisterId: tokenId }).icrc3_get_blocks(asked);
  told.archive = await Actor.createActor(token, { agent, canisterId: archiveId }).icrc3_get_blocks(asked);
  console.log(JSON.stringify(told, plain));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
