import { spawnSync } from "node:child_process";
import { dlopen } from "node:ffi";
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { temporaryFolder, until } from "./server.ts";

export type FileSystem = "ext4" | "xfs";

/** A file system of its own, in a file, whose power can be cut. As root. */
export interface Disk extends AsyncDisposable {
  /** Where it is mounted. */
  readonly folder: string;
  /** From here on nothing written and not yet flushed is ever written, and every write and flush fails. */
  cut(): void;
  /** Makes it read-only, as the kernel does that finds the journal of an ext4 damaged; `restart` ends it. */
  abort(): void;
  /** Unmounts and mounts again, as after a power cut; the file system repairs itself from its journal. */
  restart(): Promise<void>;
}

/** Room for a load with large messages. The file has holes: it takes only what is written. */
const imageOctets = 6 * 1_073_741_824;

/** Mounted at a folder of its own, or at the one given. */
export function createDisk(fileSystem: FileSystem, at?: string): Disk {
  const base = temporaryFolder();
  const image = join(base, "image");
  const folder = at ?? join(base, "root");
  writeFileSync(image, "");
  truncateSync(image, imageOctets);
  mkdirSync(folder, { recursive: true });
  must(`mkfs.${fileSystem}`, "-q", image);
  const mount = (): void => must("mount", "-o", "loop", image, folder);
  const unmount = async (): Promise<void> => {
    await until(`nobody to use ${folder}`, () => spawnSync("umount", [folder]).status === 0, 20_000);
    await until(
      `${image} to be let go, by all mount namespaces`,
      () => {
        unmountElsewhere(folder);
        return !isAttached(image);
      },
      60_000,
    );
  };
  mount();
  return {
    folder,
    cut: () => shutDown(folder),
    abort: () => must("mount", "-o", "remount,abort", folder),
    async restart() {
      await unmount();
      mount();
    },
    async [Symbol.asyncDispose]() {
      await unmount();
      rmSync(base, { recursive: true, force: true });
    },
  };
}

/**
 * A mount namespace made meanwhile (`ip netns exec` makes one, and so do sandboxes) has a copy of our mount and keeps the
 * dead file system alive: mounting the image would bring that back, not what is on it.
 */
function unmountElsewhere(folder: string): void {
  const seen = new Set<string>();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const namespace = readlinkSync(`/proc/${pid}/ns/mnt`);
      if (seen.has(namespace)) continue;
      seen.add(namespace);
      if (!readFileSync(`/proc/${pid}/mountinfo`, "latin1").includes(` ${folder} `)) continue;
      spawnSync("nsenter", [`--mount=/proc/${pid}/ns/mnt`, "umount", folder]);
    } catch {
      // it has ended meanwhile
    }
  }
}

const isAttached = (image: string): boolean =>
  spawnSync("losetup", ["-j", image], { encoding: "utf8" }).stdout.trim() !== "";

function must(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
}

/** EXT4_IOC_SHUTDOWN, and XFS_IOC_GOINGDOWN is the same number. */
const shutdownRequest = 0x8004587dn;
const withoutFlush = 2;

function shutDown(folder: string): void {
  const { functions } = dlopen(null, { ioctl: { arguments: ["i32", "u64", "pointer"], return: "i32" } });
  const flags = Buffer.alloc(4);
  flags.writeInt32LE(withoutFlush);
  const fd = openSync(folder, "r");
  const result = functions.ioctl(fd, shutdownRequest, flags);
  closeSync(fd);
  if (result !== 0) throw new Error(`cannot shut down the file system at ${folder}`);
}
