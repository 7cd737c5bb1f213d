import { z } from "zod";
import { bucketDocument } from "../bucket-config.js";

const whole = z.int().nonnegative();

const FILTER = z.strictObject({
  prefix: z.string().optional(),
  tags: z.array(z.tuple([z.string(), z.string()])),
  sizeGreaterThan: whole.optional(),
  sizeLessThan: whole.optional(),
});

const RULE = z.strictObject({
  id: z.string(),
  enabled: z.boolean(),
  /** How the rule said what it is for, and is shown: `Prefix` of its own, a `Filter` of one, or its `And`. */
  form: z.enum(["prefix", "filter", "and"]),
  filter: FILTER,
  /** Of current versions. Exactly one of the three. */
  expiration: z
    .union([
      z.strictObject({ days: z.int().positive() }),
      z.strictObject({ dateMs: z.int() }),
      z.strictObject({ expiredObjectDeleteMarker: z.boolean() }),
    ])
    .optional(),
  noncurrent: z.strictObject({ days: z.int().positive(), newerVersions: z.int().positive().optional() }).optional(),
  abortDays: z.int().positive().optional(),
});

const LIFECYCLE = z.strictObject({
  /** x-amz-transition-default-minimum-object-size: kept and shown, since nothing is ever moved here. */
  minimumObjectSize: z.enum(["all_storage_classes_128K", "varies_by_storage_class"]),
  rules: z.array(RULE),
});

export type LifecycleFilter = z.infer<typeof FILTER>;
export type LifecycleRule = z.infer<typeof RULE>;
/** A bucket's lifecycle configuration, as it is stored. */
export type Lifecycle = z.infer<typeof LIFECYCLE>;

/** The bucket's configuration, or undefined. @throws StorageError internal when it is damaged */
export const lifecycleOf = bucketDocument("lifecycle", LIFECYCLE);
