import { readFileSync } from "node:fs";

/** A real Ceph cluster for tests, as its env file describes it: lines of `export NAME=VALUE`. */
export interface ClusterEnv {
  /** The folder of a cluster that the test tool started; its daemons' names are that tool's. */
  dir: string;
  /** A ceph.conf that the tests' own `ceph` and `rbd` use, as client.admin. */
  conf: string;
  fsid: string;
  /** `[v2:127.0.0.1:23300,v1:127.0.0.1:23301]` */
  monitors: string;
  rbd: { userId: string; userKey: string; pool: string };
  fs: { userId: string; userKey: string; filesystem: string; dataPool: string; metadataPool: string };
  rgw: { endpoint: string; region: string; accessKey: string; secretKey: string };
}

const NAMED_BY = "GRANARY_TEST_CEPH_ENV";

/** @throws Error that says how to have a cluster, when none is named */
export function clusterEnv(): ClusterEnv {
  const path = process.env[NAMED_BY];
  if (path === undefined) {
    throw new Error(
      `${NAMED_BY} names no cluster: run bash test/ci/ceph.sh, which starts one, or name the env file of a running one`,
    );
  }
  const read = parseExports(readFileSync(path, "utf8"));
  const get = (name: string): string => {
    const value = read.get(name);
    if (value === undefined) throw new Error(`${path} does not export ${name}`);
    return value;
  };
  return {
    dir: get("CEPH_DEV_DIR"),
    conf: get("CEPH_CONF"),
    fsid: get("CEPH_FSID"),
    monitors: get("CEPH_MON_ADDRS"),
    rbd: { userId: get("CEPH_RBD_USER_ID"), userKey: get("CEPH_RBD_USER_KEY"), pool: get("CEPH_RBD_POOL") },
    fs: {
      ...{ userId: get("CEPH_FS_USER_ID"), userKey: get("CEPH_FS_USER_KEY") },
      ...{
        filesystem: get("CEPH_FS_NAME"),
        dataPool: get("CEPH_FS_DATA_POOL"),
        metadataPool: get("CEPH_FS_META_POOL"),
      },
    },
    rgw: {
      ...{ endpoint: get("RGW_ENDPOINT"), region: get("RGW_REGION") },
      ...{ accessKey: get("RGW_S3_ACCESS_KEY"), secretKey: get("RGW_S3_SECRET_KEY") },
    },
  };
}

/** `export NAME=VALUE`, the value bare or in single quotes. */
function parseExports(text: string): Map<string, string> {
  const lines = text.matchAll(/^export ([A-Z_0-9]+)=(?:'([^']*)'|(\S*))$/gm);
  return new Map([...lines].map(([, name = "", quoted, bare]) => [name, quoted ?? bare ?? ""]));
}
