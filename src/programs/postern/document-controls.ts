#!/usr/bin/env node
import { writeFileSync } from "node:fs";
import { controlDocument } from "../../protocol/control/document.ts";

writeFileSync(new URL("../../../docs/control-files.md", import.meta.url), controlDocument());
