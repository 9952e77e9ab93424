-- A bounded memory: when the younger half is full, the older half is forgotten. What is asked for stays.

local M = {}

-- Return `get(key)` and `put(key, value)` of a new memory of at most `most` values.
function M.new(most)
    local young, old, count = {}, {}, 0

    local function put(key, value)
        if young[key] == nil then
            if count >= most / 2 then
                young, old, count = {}, young, 0
            end
            count = count + 1
            young[key] = value
        end
    end

    local function get(key)
        return young[key] or old[key]
    end

    return { get = get, put = put }
end

return M
