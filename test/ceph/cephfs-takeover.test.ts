import { describeCrashes } from "./crash-suite.js";
import { CEPHFS } from "./engines.js";

describeCrashes(CEPHFS);
