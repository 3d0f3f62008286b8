-- AlterEnum
ALTER TYPE "ledger_account_kind" ADD VALUE 'owed';

-- DropIndex
DROP INDEX "credit_holds_session_id_key";

-- AlterTable
ALTER TABLE "credit_holds" ADD COLUMN     "began_at" TIMESTAMPTZ(6);

-- CreateTable
CREATE TABLE "usage_days" (
    "organization_id" UUID NOT NULL,
    "day" DATE NOT NULL,
    "agent_id" UUID NOT NULL,
    "stage" VARCHAR(20) NOT NULL,
    "provider" VARCHAR(50) NOT NULL,
    "unit" VARCHAR(20) NOT NULL,
    "quantity_milli" BIGINT NOT NULL DEFAULT 0,
    "cost_micro" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "usage_days_pkey" PRIMARY KEY ("organization_id","day","agent_id","stage","provider","unit")
);

-- CreateIndex
CREATE UNIQUE INDEX "credit_holds_session_id_began_at_key" ON "credit_holds"("session_id", "began_at");

-- usage_days
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_days TO voicegate_control, voicegate_system;
GRANT SELECT ON usage_days TO voicegate_frontend;
ALTER TABLE usage_days ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON usage_days TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON usage_days TO voicegate_system, voicegate_frontend USING (true);

-- What the ledger must never be, whoever writes it.
ALTER TABLE ledger_accounts ADD CONSTRAINT ledger_accounts_not_below_nothing
  CHECK (kind NOT IN ('available', 'held', 'spent') OR balance_micro >= 0);
ALTER TABLE credit_holds ADD CONSTRAINT credit_holds_used_within_held CHECK (used_micro >= 0 AND used_micro <= held_micro);

-- All entries of a transfer are written by one statement.
CREATE FUNCTION transfers_add_up_to_nothing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM entered GROUP BY transfer_id HAVING sum(amount_micro) <> 0) THEN
    RAISE EXCEPTION 'the entries of a transfer must add up to nothing' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER transfers_add_up_to_nothing AFTER INSERT ON ledger_entries
  REFERENCING NEW TABLE AS entered FOR EACH STATEMENT EXECUTE FUNCTION transfers_add_up_to_nothing();
