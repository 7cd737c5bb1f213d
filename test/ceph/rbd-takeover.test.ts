import { describeCrashes } from "./crash-suite.js";
import { RBD } from "./engines.js";

describeCrashes(RBD);
