import { versionsSuite } from "./objects-engine-versions-suite.js";
import { makeEngineWorld } from "./objects-engine-world.js";

versionsSuite(makeEngineWorld);
