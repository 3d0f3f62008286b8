-- CreateEnum
CREATE TYPE "sum_period" AS ENUM ('hour', 'day');

-- CreateTable
CREATE TABLE "analytics_calls" (
    "conversation_id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "agent_id" UUID NOT NULL,
    "agent_version" INTEGER NOT NULL,
    "amounts" JSONB NOT NULL DEFAULT '{}',

    CONSTRAINT "analytics_calls_pkey" PRIMARY KEY ("conversation_id")
);

-- CreateTable
CREATE TABLE "analytics_sums" (
    "organization_id" UUID NOT NULL,
    "period" "sum_period" NOT NULL,
    "measure" VARCHAR(20) NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL,
    "agent_id" UUID NOT NULL,
    "agent_version" INTEGER NOT NULL,
    "key" VARCHAR(50) NOT NULL,
    "amount" BIGINT NOT NULL,

    CONSTRAINT "analytics_sums_pkey" PRIMARY KEY ("organization_id","period","measure","at","agent_id","agent_version","key")
);

-- CreateIndex
CREATE INDEX "analytics_calls_organization_id_idx" ON "analytics_calls"("organization_id");

-- AddForeignKey
ALTER TABLE "analytics_calls" ADD CONSTRAINT "analytics_calls_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- analytics_calls
GRANT SELECT, INSERT, UPDATE, DELETE ON analytics_calls TO voicegate_control, voicegate_system;
GRANT SELECT ON analytics_calls TO voicegate_frontend;
ALTER TABLE analytics_calls ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON analytics_calls TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON analytics_calls TO voicegate_system, voicegate_frontend USING (true);

-- analytics_sums
GRANT SELECT, INSERT, UPDATE, DELETE ON analytics_sums TO voicegate_control, voicegate_system;
GRANT SELECT ON analytics_sums TO voicegate_frontend;
ALTER TABLE analytics_sums ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON analytics_sums TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON analytics_sums TO voicegate_system, voicegate_frontend USING (true);
