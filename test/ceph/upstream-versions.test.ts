import { versionsSuite } from "../unit/objects-engine-versions-suite.js";
import { makeUpstreamEngineWorld } from "./upstream-engine-world.js";

versionsSuite(makeUpstreamEngineWorld);
