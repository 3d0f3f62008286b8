-- Who may read and write what, as the comments of prisma/schema.prisma say it, and row-level security below the API's
-- own scoping. Nobody logs in as these roles: the control API takes one at the start of each transaction, and sets
-- voicegate.organization to the organisation that the request is of.

DO $$
DECLARE
  name text;
BEGIN
  -- Roles belong to the whole server: another database of it may have made them. Two databases may also migrate at once.
  FOREACH name IN ARRAY ARRAY['voicegate_control', 'voicegate_system', 'voicegate_frontend'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', name);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    IF NOT pg_has_role(current_user, name, 'MEMBER') THEN
      EXECUTE format('GRANT %I TO CURRENT_USER', name);
    END IF;
  END LOOP;
END $$;

GRANT USAGE ON SCHEMA public TO voicegate_control, voicegate_system, voicegate_frontend;
CREATE FUNCTION organization_of_request() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  RETURN nullif(current_setting('voicegate.organization', true), '')::uuid;

GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO voicegate_control, voicegate_system;

-- organizations
GRANT SELECT, INSERT ON organizations TO voicegate_control, voicegate_system;
GRANT UPDATE (name) ON organizations TO voicegate_control, voicegate_system;
GRANT SELECT, INSERT, DELETE ON organizations TO voicegate_frontend;
GRANT UPDATE (created_at) ON organizations TO voicegate_frontend;
ALTER TABLE organizations ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON organizations TO voicegate_control USING (id = organization_of_request());
CREATE POLICY everything ON organizations TO voicegate_system, voicegate_frontend USING (true);

-- users
GRANT SELECT ON users TO voicegate_control, voicegate_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON users TO voicegate_frontend;
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON users TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON users TO voicegate_system, voicegate_frontend USING (true);

-- profiles
GRANT SELECT ON profiles TO voicegate_control, voicegate_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON profiles TO voicegate_frontend;
ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON profiles TO voicegate_control USING (EXISTS (SELECT FROM users WHERE users.id = profiles.user_id));
CREATE POLICY everything ON profiles TO voicegate_system, voicegate_frontend USING (true);

-- social_connections
GRANT SELECT ON social_connections TO voicegate_control, voicegate_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON social_connections TO voicegate_frontend;
ALTER TABLE social_connections ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON social_connections TO voicegate_control USING (EXISTS (SELECT FROM users WHERE users.id = social_connections.user_id));
CREATE POLICY everything ON social_connections TO voicegate_system, voicegate_frontend USING (true);

-- notifications
GRANT SELECT ON notifications TO voicegate_control, voicegate_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON notifications TO voicegate_frontend;
ALTER TABLE notifications ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON notifications TO voicegate_control USING (EXISTS (SELECT FROM users WHERE users.id = notifications.user_id));
CREATE POLICY everything ON notifications TO voicegate_system, voicegate_frontend USING (true);

-- subscriptions
GRANT SELECT ON subscriptions TO voicegate_control, voicegate_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON subscriptions TO voicegate_frontend;
ALTER TABLE subscriptions ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON subscriptions TO voicegate_control USING (EXISTS (SELECT FROM users WHERE users.id = subscriptions.user_id));
CREATE POLICY everything ON subscriptions TO voicegate_system, voicegate_frontend USING (true);

-- payments
GRANT SELECT ON payments TO voicegate_control, voicegate_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON payments TO voicegate_frontend;
ALTER TABLE payments ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON payments TO voicegate_control USING (EXISTS (SELECT FROM users WHERE users.id = payments.user_id));
CREATE POLICY everything ON payments TO voicegate_system, voicegate_frontend USING (true);

-- comments
GRANT SELECT ON comments TO voicegate_control, voicegate_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON comments TO voicegate_frontend;
ALTER TABLE comments ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON comments TO voicegate_control USING (EXISTS (SELECT FROM users WHERE users.id = comments.user_id));
CREATE POLICY everything ON comments TO voicegate_system, voicegate_frontend USING (true);

-- reactions
GRANT SELECT ON reactions TO voicegate_control, voicegate_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON reactions TO voicegate_frontend;
ALTER TABLE reactions ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON reactions TO voicegate_control USING (EXISTS (SELECT FROM users WHERE users.id = reactions.user_id));
CREATE POLICY everything ON reactions TO voicegate_system, voicegate_frontend USING (true);

-- ratings
GRANT SELECT ON ratings TO voicegate_control, voicegate_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON ratings TO voicegate_frontend;
ALTER TABLE ratings ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON ratings TO voicegate_control USING (EXISTS (SELECT FROM users WHERE users.id = ratings.user_id));
CREATE POLICY everything ON ratings TO voicegate_system, voicegate_frontend USING (true);

-- user_credits
GRANT SELECT, INSERT ON user_credits TO voicegate_control, voicegate_system;
GRANT UPDATE (used_micro, used_since) ON user_credits TO voicegate_control, voicegate_system;
GRANT SELECT, INSERT, DELETE ON user_credits TO voicegate_frontend;
GRANT UPDATE (monthly_limit, plan) ON user_credits TO voicegate_frontend;
ALTER TABLE user_credits ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON user_credits TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON user_credits TO voicegate_system, voicegate_frontend USING (true);

-- agent_metadata
GRANT SELECT, INSERT ON agent_metadata TO voicegate_control, voicegate_system;
GRANT UPDATE (conversations, last_call_at) ON agent_metadata TO voicegate_control, voicegate_system;
GRANT SELECT, INSERT, DELETE ON agent_metadata TO voicegate_frontend;
GRANT UPDATE (icon, category, listed) ON agent_metadata TO voicegate_frontend;
ALTER TABLE agent_metadata ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON agent_metadata TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON agent_metadata TO voicegate_system, voicegate_frontend USING (true);

-- credentials
GRANT SELECT, INSERT, UPDATE, DELETE ON credentials TO voicegate_system;
ALTER TABLE credentials ENABLE ROW LEVEL SECURITY;
CREATE POLICY everything ON credentials TO voicegate_system, voicegate_frontend USING (true);

-- token_families
GRANT SELECT, INSERT, UPDATE, DELETE ON token_families TO voicegate_system;
ALTER TABLE token_families ENABLE ROW LEVEL SECURITY;
CREATE POLICY everything ON token_families TO voicegate_system, voicegate_frontend USING (true);

-- api_keys
GRANT SELECT, INSERT, UPDATE, DELETE ON api_keys TO voicegate_control, voicegate_system;
GRANT SELECT ON api_keys TO voicegate_frontend;
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON api_keys TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON api_keys TO voicegate_system, voicegate_frontend USING (true);

-- agents
GRANT SELECT, INSERT, UPDATE, DELETE ON agents TO voicegate_control, voicegate_system;
GRANT SELECT ON agents TO voicegate_frontend;
ALTER TABLE agents ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON agents TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON agents TO voicegate_system, voicegate_frontend USING (true);

-- agent_versions
GRANT SELECT, INSERT ON agent_versions TO voicegate_control, voicegate_system;
GRANT SELECT ON agent_versions TO voicegate_frontend;
ALTER TABLE agent_versions ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON agent_versions TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON agent_versions TO voicegate_system, voicegate_frontend USING (true);

-- agent_runs
GRANT SELECT, INSERT, UPDATE, DELETE ON agent_runs TO voicegate_control, voicegate_system;
GRANT SELECT ON agent_runs TO voicegate_frontend;
ALTER TABLE agent_runs ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON agent_runs TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON agent_runs TO voicegate_system, voicegate_frontend USING (true);

-- tools
GRANT SELECT, INSERT, UPDATE, DELETE ON tools TO voicegate_control, voicegate_system;
GRANT SELECT ON tools TO voicegate_frontend;
ALTER TABLE tools ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON tools TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON tools TO voicegate_system, voicegate_frontend USING (true);

-- handoffs
GRANT SELECT, INSERT, UPDATE, DELETE ON handoffs TO voicegate_control, voicegate_system;
GRANT SELECT ON handoffs TO voicegate_frontend;
ALTER TABLE handoffs ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON handoffs TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON handoffs TO voicegate_system, voicegate_frontend USING (true);

-- workflows
GRANT SELECT, INSERT, UPDATE, DELETE ON workflows TO voicegate_control, voicegate_system;
GRANT SELECT ON workflows TO voicegate_frontend;
ALTER TABLE workflows ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON workflows TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON workflows TO voicegate_system, voicegate_frontend USING (true);

-- workflow_runs
GRANT SELECT, INSERT, UPDATE, DELETE ON workflow_runs TO voicegate_control, voicegate_system;
GRANT SELECT ON workflow_runs TO voicegate_frontend;
ALTER TABLE workflow_runs ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON workflow_runs TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON workflow_runs TO voicegate_system, voicegate_frontend USING (true);

-- file_metadata
GRANT SELECT, INSERT, UPDATE, DELETE ON file_metadata TO voicegate_control, voicegate_system;
GRANT SELECT ON file_metadata TO voicegate_frontend;
ALTER TABLE file_metadata ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON file_metadata TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON file_metadata TO voicegate_system, voicegate_frontend USING (true);

-- vector_indices
GRANT SELECT, INSERT, UPDATE, DELETE ON vector_indices TO voicegate_control, voicegate_system;
GRANT SELECT ON vector_indices TO voicegate_frontend;
ALTER TABLE vector_indices ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON vector_indices TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON vector_indices TO voicegate_system, voicegate_frontend USING (true);

-- properties
GRANT SELECT, INSERT, UPDATE, DELETE ON properties TO voicegate_control, voicegate_system;
GRANT SELECT ON properties TO voicegate_frontend;
ALTER TABLE properties ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON properties TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON properties TO voicegate_system, voicegate_frontend USING (true);

-- conversations
GRANT SELECT, INSERT, UPDATE, DELETE ON conversations TO voicegate_control, voicegate_system;
GRANT SELECT ON conversations TO voicegate_frontend;
ALTER TABLE conversations ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON conversations TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON conversations TO voicegate_system, voicegate_frontend USING (true);

-- conversation_turns
GRANT SELECT, INSERT, UPDATE, DELETE ON conversation_turns TO voicegate_control, voicegate_system;
GRANT SELECT ON conversation_turns TO voicegate_frontend;
ALTER TABLE conversation_turns ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON conversation_turns TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON conversation_turns TO voicegate_system, voicegate_frontend USING (true);

-- ledger_accounts
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger_accounts TO voicegate_control, voicegate_system;
GRANT SELECT ON ledger_accounts TO voicegate_frontend;
ALTER TABLE ledger_accounts ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON ledger_accounts TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON ledger_accounts TO voicegate_system, voicegate_frontend USING (true);

-- ledger_transfers
GRANT SELECT, INSERT ON ledger_transfers TO voicegate_control, voicegate_system;
GRANT SELECT ON ledger_transfers TO voicegate_frontend;
ALTER TABLE ledger_transfers ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON ledger_transfers TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON ledger_transfers TO voicegate_system, voicegate_frontend USING (true);

-- ledger_entries
GRANT SELECT, INSERT ON ledger_entries TO voicegate_control, voicegate_system;
GRANT SELECT ON ledger_entries TO voicegate_frontend;
ALTER TABLE ledger_entries ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON ledger_entries TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON ledger_entries TO voicegate_system, voicegate_frontend USING (true);

-- credit_holds
GRANT SELECT, INSERT, UPDATE, DELETE ON credit_holds TO voicegate_control, voicegate_system;
GRANT SELECT ON credit_holds TO voicegate_frontend;
ALTER TABLE credit_holds ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON credit_holds TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON credit_holds TO voicegate_system, voicegate_frontend USING (true);

-- hold_usage
GRANT SELECT, INSERT ON hold_usage TO voicegate_control, voicegate_system;
GRANT SELECT ON hold_usage TO voicegate_frontend;
ALTER TABLE hold_usage ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON hold_usage TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON hold_usage TO voicegate_system, voicegate_frontend USING (true);

-- outbox
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO voicegate_control, voicegate_system;
GRANT SELECT ON outbox TO voicegate_frontend;

-- idempotency_keys
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO voicegate_control, voicegate_system;
GRANT SELECT ON idempotency_keys TO voicegate_frontend;
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON idempotency_keys TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON idempotency_keys TO voicegate_system, voicegate_frontend USING (true);

-- audit_log
GRANT SELECT, INSERT ON audit_log TO voicegate_control, voicegate_system;
GRANT SELECT ON audit_log TO voicegate_frontend;
ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON audit_log TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON audit_log TO voicegate_system, voicegate_frontend USING (true);
