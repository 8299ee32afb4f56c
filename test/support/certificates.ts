// Makes certificates for tests with openssl: one authority, and what it signed, as PEM files in a folder of the test.

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** An authority that signs certificates. */
export interface TestAuthority {
  /** PEM file with its certificate. */
  readonly ca: string;
  /** Signs a certificate for the names, such as `DNS:redis.test` or `IP:127.0.0.1`; its PEM files. */
  issue(name: string, names: string, days?: number): { readonly cert: string; readonly key: string };
}

function openssl(folder: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync("openssl", args, { cwd: folder, encoding: "utf8" });
  if (status !== 0) throw new Error(`openssl ${args[0]} failed (the tests need openssl on PATH): ${stderr}`);
}

/** Makes an authority in `folder`; `name` tells its files from others. */
export function makeAuthority(folder: string, name = "ca"): TestAuthority {
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const [caKey, ca] = [join(folder, `${name}-key.pem`), join(folder, `${name}.pem`)];
  openssl(folder, [
    ...["req", "-x509", ...curve, "-keyout", caKey, "-out", ca, "-days", "2", "-subj", `/CN=${name}`],
  ]);
  return {
    ca,
    issue(leaf, names, days = 2) {
      const [cert, key] = [join(folder, `${leaf}.pem`), join(folder, `${leaf}-key.pem`)];
      const [request, extensions] = [join(folder, `${leaf}.csr`), join(folder, `${leaf}.ext`)];
      writeFileSync(extensions, `subjectAltName=${names}\n`);
      openssl(folder, ["req", "-new", ...curve, "-keyout", key, "-out", request, "-subj", `/CN=${leaf}`]);
      openssl(folder, [
        ...["x509", "-req", "-in", request, "-CA", ca, "-CAkey", caKey, "-CAcreateserial", "-out", cert],
        ...["-days", String(days), "-extfile", extensions],
      ]);
      return { cert, key };
    },
  };
}
